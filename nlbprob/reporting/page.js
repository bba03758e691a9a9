"use strict";

/* Tables: a heading is a button, which sorts by its column: ascending, descending, then as it was. */

function order(first, second) {
  const numbers = [Number(first), Number(second)];
  const text = first.localeCompare(second, "en", { numeric: true });
  return numbers.every(Number.isFinite) ? numbers[0] - numbers[1] : text;
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], shown = [...body.rows];
  const key = (row, column) => row.cells[column].dataset.value ?? (column ? "" : row.cells[0].textContent);
  const sort = (head, column) => {
    const next = { ascending: "descending", descending: "none" }[head.ariaSort] ?? "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", next);
    const sign = next === "descending" ? -1 : 1;
    const rows = [...shown];
    if (next !== "none") {
      rows.sort((one, other) => {
        const pair = [key(one, column), key(other, column)];
        return pair.includes("") ? (pair[0] === "") - (pair[1] === "") : sign * order(...pair);
      });
    }
    body.append(...rows);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, column));
    head.append(button);
  });
  table.classList.add("sortable");
}

/* Drawings of three dimensions: dragging and arrow keys turn them. As turning.py projects them, so does `project`. */

const STEP = Math.PI / 36, DISTANCE = 6;

function turnable(drawing) {
  const [x, y, radius, yaw, pitch] = drawing.dataset.turning.split(" ").map(Number);
  const moved = [...drawing.querySelectorAll("[data-at]")].map((element) => [
    element,
    element.dataset.at.split(" ").map((point) => point.split(",").map(Number)),
  ]);
  let angles = [yaw, pitch], held = null;

  function project([a, b, c]) {
    const [cosine, sine] = [Math.cos(angles[0]), Math.sin(angles[0])];
    const across = a * cosine + b * sine, away = b * cosine - a * sine;
    const up = c * Math.cos(angles[1]) + away * Math.sin(angles[1]);
    const size = (radius * DISTANCE) / (DISTANCE + away * Math.cos(angles[1]) - c * Math.sin(angles[1]));
    return [x + size * across, y - size * up];
  }

  function turn(first, second) {
    angles = [first, Math.max(-Math.PI / 2, Math.min(Math.PI / 2, second))];
    for (const [element, points] of moved) {
      const places = points.map(project);
      if (element.tagName === "polyline") {
        element.setAttribute("points", places.map((place) => place.map((one) => one.toFixed(1))).join(" "));
      } else {
        const names = element.tagName === "circle" ? ["cx", "cy"] : ["x", "y"];
        names.forEach((name, axis) => element.setAttribute(name, places[0][axis].toFixed(1)));
      }
    }
  }

  const keys = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
  drawing.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Home") turn(yaw, pitch);
    else if (event.key in keys) turn(angles[0] + keys[event.key][0], angles[1] + keys[event.key][1]);
    else return;
    event.preventDefault();
  });
  drawing.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY, ...angles];
    drawing.setPointerCapture(event.pointerId);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (held) turn(held[2] - (event.clientX - held[0]) / 100, held[3] + (event.clientY - held[1]) / 100);
  });
  for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => (held = null));
  drawing.tabIndex = 0;
  drawing.classList.add("turnable");
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.id = `${drawing.id}-hint`;
  hint.textContent = "Drag it, or press arrow keys, to turn it; Home turns it back.";
  drawing.setAttribute("aria-describedby", hint.id);
  drawing.after(hint);
}

document.querySelectorAll("table").forEach(sortable);
document.querySelectorAll("svg[data-turning]").forEach(turnable);
