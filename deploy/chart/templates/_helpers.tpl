{{/* What the studio, the runs and the test have in common; runs get it by dagster.yaml. */}}

{{- define "factory.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "factory.studioSelector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: studio
{{- end }}

{{- define "factory.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "factory.claim" -}}
{{ .Values.home.existingClaim | default (printf "%s-home" .Release.Name) }}
{{- end }}

{{- define "factory.publicOrigin" -}}
{{- if .Values.studio.publicOrigin -}}
{{ .Values.studio.publicOrigin }}
{{- else if .Values.ingress.enabled -}}
{{ ternary "https" "http" (ne .Values.ingress.tlsSecret "") }}://{{ .Values.ingress.host }}
{{- end }}
{{- end }}

{{- define "factory.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "factory.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "factory.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- if .Values.home.url }}
- {name: scratch, emptyDir: {}}
{{- else }}
- {name: home, persistentVolumeClaim: {claimName: {{ include "factory.claim" . }}}}
{{- end }}
{{- end }}

{{- define "factory.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.home.url }}
- {name: scratch, mountPath: /scratch}
{{- else }}
- {name: home, mountPath: /factory_home}
{{- end }}
{{- end }}

{{- define "factory.envFrom" -}}
- configMapRef: {name: {{ .Release.Name }}-env}
- secretRef: {name: {{ .Values.existingSecret }}}
{{- end }}
