/* Draws the graph beside a list of results, and links the two. Without it the list stands alone.
 *
 * The page has the nodes and edges, with positions, as JSON in #muninn-graph-data; nothing in it is
 * ever read as HTML. Rows of the list carry the id of their node in data-node.
 */
"use strict";

(() => {
  const figure = document.querySelector(".muninn-graph");
  const source = document.getElementById("muninn-graph-data");
  if (!figure || !source || typeof cytoscape !== "function") return;

  const graph = JSON.parse(source.textContent);
  const canvas = figure.querySelector(".muninn-canvas");
  const said = figure.querySelector(".muninn-said");
  const rows = new Map();
  for (const row of document.querySelectorAll(".muninn-results > li[data-node]")) {
    rows.set(row.dataset.node, row);
  }

  /* ---- what is drawn ---- */

  const LETTER = 4.6; // pixels of a letter of an edge's label
  const ROUND = 24; // pixels that a node takes at an edge's end
  const places = new Map(graph.nodes.map((node) => [node.id, node]));

  function lengthOf({ source, target }) {
    const [one, other] = [places.get(source), places.get(target)];
    return Math.hypot(one.x - other.x, one.y - other.y);
  }

  function elements() {
    const found = [];
    for (const node of graph.nodes) {
      const shape = node.rank === null ? "between" : node.seed ? "seed" : "reached";
      const position = { x: node.x, y: node.y };
      found.push({ data: { ...node, shape }, position, classes: `node ${shape}` });
      if (node.rank !== null) {
        // The rank inside the node: a node has one label, and that is below it.
        found.push({
          data: { id: `rank ${node.id}`, of: node.id, rank: String(node.rank), colour: node.colour },
          position: { ...position },
          classes: "rank",
          selectable: false,
          grabbable: false,
        });
      }
    }
    graph.edges.forEach((edge, number) => {
      const classes = edge.path ? "edge path" : "edge";
      const label = edge.type ?? "";
      const fits = lengthOf(edge) > LETTER * label.length + 2 * ROUND;
      const data = { ...edge, id: `edge ${number}`, type: label, label: fits ? label : "" };
      found.push({ data, classes });
    });
    return found;
  }

  const styles = getComputedStyle(document.body);
  const colour = (name) => styles.getPropertyValue(`--muninn-${name}`).trim();
  const byType = (element) => colour(`type-${element.data("colour")}`) || colour("type-0");

  function look() {
    const ink = colour("ink");
    const ground = colour("ground");
    const soft = colour("soft");
    return [
      {
        selector: "node.node",
        style: {
          label: (node) => node.data("lines").join("\n"),
          "font-family": "Helvetica Neue, Helvetica, sans-serif",
          "font-size": 11,
          color: ink,
          "text-wrap": "wrap",
          "text-max-width": 1000, // broken into lines already
          "text-valign": (node) => (node.data("above") ? "top" : "bottom"),
          "text-margin-y": (node) => (node.data("above") ? -3 : 3),
          "text-background-color": ground,
          "text-background-opacity": 0.8,
          "text-background-padding": 1,
          width: 26,
          height: 26,
          "background-color": byType,
          "border-width": 1.5,
          "border-color": ink,
        },
      },
      { selector: "node.seed", style: { shape: "round-rectangle", "border-width": 3 } },
      { selector: "node.reached", style: { shape: "ellipse" } },
      {
        selector: "node.between",
        style: { shape: "diamond", width: 16, height: 16, "font-size": 10 },
      },
      {
        selector: "node.rank",
        style: {
          label: "data(rank)",
          "font-family": "Helvetica Neue, Helvetica, sans-serif",
          "font-size": 12,
          "font-weight": "bold",
          color: colour("on-type"),
          "text-valign": "center",
          "text-halign": "center",
          "background-opacity": 0,
          width: 10,
          height: 10,
          events: "no",
        },
      },
      {
        selector: "edge",
        style: {
          "curve-style": "bezier",
          width: 1,
          "line-color": soft,
          "target-arrow-shape": "triangle",
          "target-arrow-color": soft,
          "arrow-scale": 0.9,
          label: "data(label)",
          "font-family": "Helvetica Neue, Helvetica, sans-serif",
          "font-size": 9,
          "min-zoomed-font-size": 7.5,
          color: ink,
          "text-rotation": "autorotate",
          "text-background-color": ground,
          "text-background-opacity": 0.85,
          "text-background-padding": 1,
          events: "no",
        },
      },
      { selector: "edge.path", style: { width: 2.5 } },
      { selector: ".away", style: { opacity: 0.3 } },
      {
        selector: "node.chosen",
        style: { "border-width": 4, "border-color": colour("accent") },
      },
      {
        selector: "edge.chosen",
        style: {
          width: 3,
          "line-color": colour("accent"),
          "target-arrow-color": colour("accent"),
          label: "data(type)",
          "min-zoomed-font-size": 5,
        },
      },
    ];
  }

  /* A flat graph needs no high box. */
  function fold() {
    const size = (axis) => {
      const all = graph.nodes.map((node) => node[axis]);
      return Math.max(...all) - Math.min(...all) + 140;
    };
    const wanted = (size("y") / size("x")) * canvas.clientWidth;
    const most = canvas.clientHeight;
    canvas.style.height = `${Math.round(Math.min(most, Math.max(220, wanted)))}px`;
  }

  figure.querySelector(".muninn-svg").remove();
  for (const part of figure.querySelectorAll("[hidden]")) part.hidden = false;
  const coarse = matchMedia("(pointer: coarse)").matches;
  fold();

  /* A finger scrolls the page, unless it was asked to move the drawing. These listeners are there
   * before the library's own, which keep the page where it is when a finger is on a node. */
  let isFree = !coarse;
  let isSwipe = false;
  const early = { capture: true, passive: true };
  addEventListener("touchstart", () => (isSwipe = false), early);
  addEventListener(
    "touchmove",
    (event) => {
      if (isFree || !canvas.contains(event.target)) return;
      isSwipe = true;
      event.stopImmediatePropagation();
    },
    early
  );

  const cy = cytoscape({
    container: canvas,
    elements: elements(),
    style: look(),
    layout: { name: "preset", fit: true, padding: 24 },
    minZoom: 0.15,
    maxZoom: 3,
    // The wheel scrolls the page; buttons, keys and Ctrl + wheel zoom.
    userZoomingEnabled: false,
    userPanningEnabled: isFree,
    boxSelectionEnabled: false,
    selectionType: "single",
  });
  const nodes = cy.nodes(".node");
  const order = [...graph.nodes]
    .sort((one, other) => (one.rank ?? Infinity) - (other.rank ?? Infinity))
    .map((node) => node.id);
  let chosen = null;

  cy.on("position", "node.node", (event) => {
    cy.getElementById(`rank ${event.target.id()}`).position({ ...event.target.position() });
  });

  function fit() {
    cy.fit(cy.elements(), 24);
    if (cy.zoom() > 1.4) {
      cy.zoom(1.4);
      cy.center();
    }
    // A large graph is small on the page: its letters less so.
    const size = Math.min(14, 11 * Math.max(1, 0.85 / cy.zoom()));
    cy.nodes(".node").style("font-size", size);
  }

  /* ---- choosing a node, from either side ---- */

  function choose(id, { scroll = false, speak = false } = {}) {
    if (id === chosen) return;
    chosen = id;
    for (const [key, row] of rows) {
      if (key === id) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    cy.batch(() => mark(id));
    describe(id === null ? null : cy.getElementById(id), speak);
    // Where the drawing is below the list, the way to the row would lead away from it.
    const isBeside = getComputedStyle(figure).position === "sticky";
    if (scroll && isBeside && rows.has(id)) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      rows.get(id).scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    }
  }

  function mark(id) {
    cy.elements().removeClass("away chosen");
    if (id === null) return;
    const node = cy.getElementById(id);
    const way = reason(id);
    const near = way.union(node.openNeighborhood(".node"));
    const shown = node.union(near).union(near.edgesWith(node));
    cy.elements().not(shown).not(".rank").addClass("away");
    cy.nodes(".rank").forEach((rank) => {
      rank.toggleClass("away", !shown.contains(cy.getElementById(rank.data("of"))));
    });
    node.addClass("chosen");
    way.edges().addClass("chosen");
  }

  /* The nodes and edges of the path that the row's reason names. */
  function reason(id) {
    let found = cy.collection();
    for (const number of graph.paths[id] ?? []) {
      const edge = cy.getElementById(`edge ${number}`);
      found = found.union(edge).union(edge.connectedNodes());
    }
    return found;
  }

  function describe(node, speak) {
    said.replaceChildren();
    said.setAttribute("aria-live", speak ? "polite" : "off");
    if (!node || node.empty()) {
      said.textContent = said.dataset.empty + (coarse ? "" : " Ctrl and the wheel zoom.");
      return;
    }
    const data = node.data();
    const link = document.createElement("a");
    link.textContent = data.label;
    link.href = data.url;
    const type = data.type === null ? "" : `, ${data.type}`;
    said.append(data.url ? link : data.label, `${type}: ${place(data)}`);
  }

  function place(data) {
    if (data.rank === null) return "on the way to a result";
    return `result ${data.rank}, ${data.seed ? "found by its own match" : "found mostly through its relations"}`;
  }

  cy.on("tap", "node.node", (event) => {
    if (!isSwipe) choose(event.target.id(), { scroll: true, speak: true });
  });
  cy.on("tap", (event) => {
    if (event.target === cy && !isSwipe) choose(null);
  });
  cy.on("mouseover", "node.node", () => (canvas.style.cursor = "pointer"));
  cy.on("mouseout", "node.node", () => (canvas.style.cursor = ""));
  for (const [id, row] of rows) {
    row.addEventListener("mouseenter", () => choose(id));
    row.addEventListener("focusin", () => choose(id));
  }

  /* ---- keys and buttons ---- */

  function step(by) {
    const at = order.indexOf(chosen);
    const next = at < 0 ? (by > 0 ? 0 : order.length - 1) : at + by;
    choose(order[(next + order.length) % order.length], { scroll: true, speak: true });
    reveal();
  }

  function reveal() {
    const box = cy.getElementById(chosen).renderedBoundingBox();
    if (box.x1 < 0 || box.y1 < 0 || box.x2 > cy.width() || box.y2 > cy.height()) {
      cy.center(cy.getElementById(chosen));
    }
  }

  function zoom(factor) {
    const level = cy.zoom() * factor;
    cy.zoom({ level, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
  }

  const keys = {
    ArrowRight: () => step(1),
    ArrowDown: () => step(1),
    ArrowLeft: () => step(-1),
    ArrowUp: () => step(-1),
    Home: () => ((chosen = null), step(1)),
    End: () => ((chosen = null), step(-1)),
    Escape: () => choose(null),
    Enter: () => {
      const url = chosen !== null && cy.getElementById(chosen).data("url");
      if (url) location.assign(url);
    },
    "+": () => zoom(1.3),
    "=": () => zoom(1.3),
    "-": () => zoom(1 / 1.3),
    0: fit,
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300));
    },
    { passive: false }
  );
  function move(event) {
    isFree = !isFree;
    event.currentTarget.setAttribute("aria-pressed", String(isFree));
    canvas.classList.toggle("muninn-free", isFree);
    cy.userPanningEnabled(isFree);
    cy.userZoomingEnabled(isFree);
  }

  const actions = { in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit, move };
  figure.querySelector("button[data-do=move]").hidden = !coarse;
  for (const button of figure.querySelectorAll("button[data-do]")) {
    button.addEventListener("click", actions[button.dataset.do]);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cy.style(look()));
  new ResizeObserver(() => {
    cy.resize();
    fit();
  }).observe(canvas);
  describe(null, false);
  fit();
  canvas.dataset.nodes = String(nodes.length);
})();
