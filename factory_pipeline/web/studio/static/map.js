"use strict";
// The maps are drawn by the server and can be read without this; here they are moved and zoomed.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const STEPS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60];
  const NEAREST = 64;
  const STRIDE = 0.15;
  const FACTOR = 1.5;

  const round = (degrees) => Number(degrees.toFixed(4));
  const named = (value, sides) => {
    const turned = sides === "EW" ? ((((value + 180) % 360) + 360) % 360) - 180 : value;
    const side = turned === 0 ? "" : sides[turned > 0 ? 0 : 1];
    return `${round(Math.abs(turned))}°${side}`;
  };
  const ticks = (low, high, most) => {
    const step = STEPS.find((one) => (high - low) / one <= most) || STEPS.at(-1);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.max(Math.floor(high / step) - first + 1, 0) }, (_, at) => round((first + at) * step));
  };
  const drawn = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };

  const map = () => ({
    init() {
      const { lon, lat, perLon, perLat, reach } = this.$refs.map.dataset;
      const { width, height } = this.$refs.map.viewBox.baseVal;
      Object.assign(this, { width, height, lon: +lon, lat: +lat, perLon: +perLon, perLat: +perLat, reach: +reach });
      this.held = null;
      this.x = width / 2;
      this.y = height / 2;
      this.zoom = 1;
    },
    show() {
      const svg = this.$refs.map;
      this.zoom = Math.min(Math.max(this.zoom, 1 / this.reach), NEAREST);
      const [wide, high] = [this.width / this.zoom, this.height / this.zoom];
      const room = (whole, part) => Math.max((whole * this.reach - part) / 2, 0);
      const within = (value, whole, part) => Math.min(Math.max(value, whole / 2 - room(whole, part)), whole / 2 + room(whole, part));
      this.x = within(this.x, this.width, wide);
      this.y = within(this.y, this.height, high);
      const [west, top] = [this.x - wide / 2, this.y - high / 2];
      svg.setAttribute("viewBox", `${west} ${top} ${wide} ${high}`);
      svg.style.setProperty("--z", 1 / this.zoom);
      // A finger scrolls the page until the map is zoomed.
      svg.style.touchAction = this.zoom === 1 ? "auto" : "none";
      this.rule(west, top, wide, high);
    },
    rule(west, top, wide, high) {
      const lonOf = (x) => this.lon + (x - this.width / 2) / this.perLon;
      const latOf = (y) => this.lat - (y - this.height / 2) / this.perLat;
      const lines = [];
      for (const lon of ticks(lonOf(west), lonOf(west + wide), 6)) {
        const x = this.width / 2 + (lon - this.lon) * this.perLon;
        lines.push(drawn("path", { class: "graticule", d: `M${x} ${top}v${high}` }));
        lines.push(drawn("text", { x: x + 4 / this.zoom, y: top + high - 6 / this.zoom }, named(lon, "EW")));
      }
      for (const lat of ticks(latOf(top + high), latOf(top), 4).filter((one) => Math.abs(one) <= 90)) {
        const y = this.height / 2 - (lat - this.lat) * this.perLat;
        lines.push(drawn("path", { class: "graticule", d: `M${west} ${y}h${wide}` }));
        lines.push(drawn("text", { x: west + 6 / this.zoom, y: y - 4 / this.zoom }, named(lat, "NS")));
      }
      this.$refs.map.querySelector(".lines").replaceChildren(...lines);
    },
    scale(factor) { this.zoom *= factor; this.show(); },
    move(across, down) {
      this.x += (across * this.width) / this.zoom;
      this.y += (down * this.height) / this.zoom;
      this.show();
    },
    nearer() { this.scale(FACTOR); },
    farther() { this.scale(1 / FACTOR); },
    whole() { this.x = this.width / 2; this.y = this.height / 2; this.zoom = 1; this.show(); },
    press(event) {
      const act = {
        ArrowLeft: () => this.move(-STRIDE, 0), ArrowRight: () => this.move(STRIDE, 0),
        ArrowUp: () => this.move(0, -STRIDE), ArrowDown: () => this.move(0, STRIDE),
        "+": () => this.nearer(), "=": () => this.nearer(), "-": () => this.farther(), 0: () => this.whole(),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    },
    grab(event) {
      this.held = { x: event.clientX, y: event.clientY };
      this.$refs.map.setPointerCapture(event.pointerId);
    },
    drag(event) {
      if (!this.held) return;
      const side = this.$refs.map.clientWidth;
      const shape = this.width / this.height;
      this.move((this.held.x - event.clientX) / side, ((this.held.y - event.clientY) / side) * shape);
      this.held = { x: event.clientX, y: event.clientY };
    },
    drop() { this.held = null; },
    roll(event) {
      // A wheel alone scrolls the page.
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.scale(event.deltaY < 0 ? FACTOR : 1 / FACTOR);
    },
  });

  document.addEventListener("alpine:init", () => { Alpine.data("map", map); });
})();
