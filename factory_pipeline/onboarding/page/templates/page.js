"use strict";
(() => {
  const { layers, pairs } = JSON.parse(document.getElementById("pairs").textContent);
  const stage = document.getElementById("stage");
  const file = document.getElementById("file");
  const caption = document.getElementById("caption");
  const previous = document.getElementById("previous");
  const next = document.getElementById("next");
  const open = '<path d="M1 8s2.5-4.5 7-4.5S15 8 15 8s-2.5 4.5-7 4.5S1 8 1 8Z"/><circle cx="8" cy="8" r="2"/>';
  const shut = open + '<path d="M2.5 13.5l11-11"/>';
  let current = 0;

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const title = (layer) => (layer.modality ? `${layer.modality} · ${layer.name}` : layer.name);

  // The last picture is on top, so the layers, listed from the top, are added backwards.
  for (const layer of [...layers].reverse()) {
    layer.picture = make("img", { className: layer.id === "label" ? "label" : "", alt: "" });
    layer.picture.dataset.layer = layer.id;
    stage.append(layer.picture);
  }

  const list = document.getElementById("layers");
  for (const layer of layers) {
    const eye = make("button", { type: "button" });
    const percent = make("small", {});
    const slider = make("input", { type: "range", min: 0, max: 100, value: Math.round(layer.opacity * 100) });
    slider.setAttribute("aria-label", `Opacity of ${title(layer)}`);
    const row = make("li", {}, eye, make("span", { className: "name" }, title(layer), percent), slider);
    row.dataset.layer = layer.id;
    const draw = () => {
      eye.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${layer.visible ? open : shut}</svg>`;
      eye.setAttribute("aria-pressed", layer.visible);
      eye.setAttribute("aria-label", `Show ${title(layer)}`);
      row.classList.toggle("off", !layer.visible);
      percent.textContent = `${slider.value} %`;
      layer.picture.style.opacity = slider.value / 100;
      layer.picture.hidden = !layer.visible || !layer.picture.hasAttribute("src");
    };
    eye.addEventListener("click", () => { layer.visible = !layer.visible; draw(); });
    slider.addEventListener("input", draw);
    layer.draw = draw;
    list.append(row);
  }

  pairs.forEach((pair, number) => file.append(make("option", { value: number, textContent: `${pair.name} (${pair.split})` })));

  const show = (number) => {
    current = Math.min(Math.max(number, 0), pairs.length - 1);
    const pair = pairs[current];
    stage.style.aspectRatio = `${pair.width} / ${pair.height}`;
    stage.style.maxWidth = `calc(80vh * ${pair.width / pair.height})`;
    for (const layer of layers) {
      const picture = pair.pictures[layer.id];
      if (picture) layer.picture.src = picture; else layer.picture.removeAttribute("src");
      layer.picture.alt = `${title(layer)} of ${pair.name}`;
      layer.draw();
    }
    file.value = current;
    previous.disabled = current === 0;
    next.disabled = current === pairs.length - 1;
    caption.replaceChildren(
      make("b", { textContent: pair.name }),
      make("span", { textContent: `${pair.width} × ${pair.height} · ${current + 1} of ${pairs.length}` }),
    );
  };

  previous.addEventListener("click", () => show(current - 1));
  next.addEventListener("click", () => show(current + 1));
  file.addEventListener("change", () => show(Number(file.value)));
  stage.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (turn) { event.preventDefault(); show(current + turn); }
  });
  show(0);
})();
