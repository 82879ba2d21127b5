"use strict";
(() => {
  const token = document.querySelector('meta[name="csrf"]').content;
  document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF-Token"] = token; });

  // What is shown of a pair stays when another pair is loaded.
  const viewer = () => ({
    init() {
      this.shown = {};
      for (const row of this.$el.querySelectorAll(".layers li")) {
        this.shown[row.dataset.layer] = {
          visible: !row.classList.contains("off"), opacity: row.querySelector("input").value / 100,
        };
      }
      this.$el.addEventListener("htmx:afterSettle", () => this.draw());
    },
    draw() {
      for (const picture of this.$root.querySelectorAll(".stage img")) {
        const layer = this.shown[picture.dataset.layer];
        if (layer) { picture.hidden = !layer.visible; picture.style.opacity = layer.opacity; }
      }
    },
    toggle(event) {
      const row = event.target.closest("li");
      const layer = this.shown[row.dataset.layer];
      layer.visible = !layer.visible;
      row.classList.toggle("off", !layer.visible);
      row.querySelector("button").setAttribute("aria-pressed", layer.visible);
      this.draw();
    },
    fade(event) {
      this.shown[event.target.closest("li").dataset.layer].opacity = event.target.value / 100;
      this.draw();
    },
    turn(event) {
      const step = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
      if (!step || !event.target.classList.contains("stage")) return;
      event.preventDefault();
      this.$root.querySelector(`a[rel=${step}]`).click();
    },
  });

  const dialog = () => ({
    open() { this.$refs.dialog.showModal(); },
    close() { this.$refs.dialog.close(); },
  });

  const PATIENCE = 8;
  const wait = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });
  const send = async (method, url, body, type) => {
    const answer = await fetch(url, { method, body, headers: { "X-CSRF-Token": token, "Content-Type": type } });
    const told = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
    return { status: answer.status, ...told };
  };
  const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

  // A file goes up in parts. After a failure the server is asked how much has come, and the rest is sent.
  const upload = () => ({
    init() { this.isSending = false; this.isWanted = false; },
    over() { this.$refs.drop.classList.add("over"); },
    out() { this.$refs.drop.classList.remove("over"); },
    dropped(event) { this.out(); this.begin(event.dataTransfer.files[0]); },
    chosen(event) { this.begin(event.target.files[0]); },
    tell(text) { this.$refs.state.textContent = text; },
    submit(event) {
      if (!this.isSending) return;
      event.preventDefault();
      this.isWanted = true;
      this.tell("The pre-scan begins once the file has come.");
    },
    async begin(file) {
      if (!file || this.isSending) return;
      this.isSending = true;
      this.$refs.link.value = "";
      this.$refs.bar.hidden = false;
      try {
        await this.sendAll(file);
        this.tell(`${file.name}: uploaded (${size(file.size)})`);
      } catch (error) {
        this.isWanted = false;
        this.tell(error.message);
      }
      this.isSending = false;
      if (this.isWanted) this.$refs.form.requestSubmit();
    },
    async sendAll(file) {
      let failures = 0;
      let received = -1;
      let part = 0;
      while (received < file.size) {
        try {
          if (received < 0) {
            const told = await this.announce(file);
            received = told.received;
            part = told.part;
          } else {
            const url = `/add/${this.$refs.drop.dataset.draft}/archive?offset=${received}`;
            const answer = await send("PUT", url, file.slice(received, received + part), "application/octet-stream");
            if (answer.received === undefined) throw new Error(answer.error);
            received = answer.received;
          }
          failures = 0;
        } catch (error) {
          failures += 1;
          if (error.isFinal || failures > PATIENCE) throw error;
          this.tell(`${file.name}: interrupted, trying again.`);
          await wait(Math.min(2 ** failures / 2, 15));
          received = -1;
          continue;
        }
        this.$refs.bar.value = received / file.size;
        this.tell(`${file.name}: ${size(received)} of ${size(file.size)}`);
      }
    },
    async announce(file) {
      const about = { name: file.name, bytes: file.size, modified: String(file.lastModified), draft: this.$refs.drop.dataset.draft };
      const answer = await send("POST", "/add/upload", JSON.stringify(about), "application/json");
      if (answer.draft === undefined) throw Object.assign(new Error(answer.error), { isFinal: answer.status < 500 });
      this.$refs.drop.dataset.draft = answer.draft;
      this.$refs.form.action = `/add/${answer.draft}/file`;
      history.replaceState(null, "", `/add/${answer.draft}/file`);
      return answer;
    },
  });

  const copy = () => ({
    async copy() {
      await navigator.clipboard.writeText(this.$refs.text.textContent);
      this.$refs.button.textContent = "Copied";
    },
  });

  document.addEventListener("alpine:init", () => {
    Alpine.data("upload", upload);
    Alpine.data("copy", copy);
    Alpine.data("viewer", viewer);
    Alpine.data("dialog", dialog);
  });
})();
