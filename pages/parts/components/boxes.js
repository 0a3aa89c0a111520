// Boxes that can be dragged, resized at their corners and moved with the arrow keys, over a plane or a picture.
// Data: bytes = header length (uint32, little endian), header (JSON, UTF-8), picture (JPEG or PNG, may be empty).
// Header: width, height (units that boxes are told in), boxes [{name, xyxy}], shared (draw what all boxes share),
// hull (draw the smallest box around all), draw_new (a drag beside all boxes draws the first one anew), alt,
// max_height_px, mime.
// Answers by the trigger "move": {index, xyxy}, while dragging at most every 90 ms and once at the end.

const SVG = "http://www.w3.org/2000/svg";
const SEND_EVERY_MS = 90;
const CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]];
const SMALLEST = 4;

function unpack(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return [header, bytes.subarray(4 + length)];
}

function checksum(bytes) {
  let sum = bytes.length >>> 0;
  const step = Math.max(1, Math.floor(bytes.length / 4096));
  for (let i = 0; i < bytes.length; i += step) sum = (Math.imul(sum, 31) + bytes[i]) >>> 0;
  return sum;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function rect_of([left, top, right, bottom], kind) {
  return element("rect", {
    x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), class: kind,
  });
}

// A whole box moved by (x, y), kept inside the plane.
function moved(box, x, y, header) {
  const dx = Math.min(Math.max(x, -box[0]), header.width - box[2]);
  const dy = Math.min(Math.max(y, -box[1]), header.height - box[3]);
  return [box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy];
}

// One corner moved by (x, y): it stays inside the plane and never passes the opposite one.
function stretched(box, [across, down], x, y, header) {
  const made = [...box];
  const least = Math.min(SMALLEST, header.width, header.height);
  made[across] = across === 0
    ? Math.min(Math.max(box[0] + x, 0), box[2] - least) : Math.max(Math.min(box[2] + x, header.width), box[0] + least);
  made[down] = down === 1
    ? Math.min(Math.max(box[1] + y, 0), box[3] - least) : Math.max(Math.min(box[3] + y, header.height), box[1] + least);
  return made;
}

// The box between where the drag began and where it is, inside the plane and never smaller than the smallest.
function spanned(from, at, header) {
  const sides = [header.width, header.height].map((length, axis) => {
    const least = Math.min(SMALLEST, length);
    const ends = [from[axis], at[axis]].map((value) => Math.min(Math.max(value, 0), length)).sort((a, b) => a - b);
    const low = Math.min(ends[0], length - least);
    return [low, Math.max(ends[1], low + least)];
  });
  return [sides[0][0], sides[1][0], sides[0][1], sides[1][1]];
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".boxes");
  if (!root || !data) return;
  const svg = root.querySelector("svg");
  const image = root.querySelector("img");
  const [header, picture] = unpack(data);
  root._header = header;
  root._send = (index, box) => setTriggerValue("move", { index, xyxy: box.map((value) => Math.round(value)) });

  const sum = String(checksum(picture));
  if (root.dataset.sum !== sum) {
    const previous = image.src;
    if (picture.length) image.src = URL.createObjectURL(new Blob([picture], { type: header.mime }));
    else image.removeAttribute("src");
    image.hidden = !picture.length;
    root.dataset.sum = sum;
    if (previous.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(previous), 2000);
  }
  image.alt = header.alt;
  root.style.width = Math.round((header.max_height_px * header.width) / header.height) + "px";
  root.style.aspectRatio = `${header.width} / ${header.height}`;
  svg.setAttribute("viewBox", `0 0 ${header.width} ${header.height}`);
  svg.setAttribute("aria-label", header.alt);
  svg.classList.toggle("drawable", Boolean(header.draw_new));

  // What comes back while a box is being dragged is older than the hand: it is not drawn.
  if (!root._drag && !root._keyed) root._boxes = header.boxes.map((box) => [...box.xyxy]);
  if (root._boxes.length !== header.boxes.length) root._boxes = header.boxes.map((box) => [...box.xyxy]);

  root._draw = () => draw(root, svg);
  root._draw();
  if (!root._observer) {
    root._observer = new ResizeObserver(() => root._draw());
    root._observer.observe(root);
    listen(root, svg);
  }
}

function draw(root, svg) {
  const header = root._header;
  const unit = header.width / Math.max(root.clientWidth, 1); // plane units in a screen pixel
  const boxes = root._boxes;
  const under = [];
  if (!header.picture) {
    const lines = element("g", { class: "lines" });
    for (let x = 50; x < header.width; x += 50) lines.append(element("line", { x1: x, x2: x, y1: 0, y2: header.height }));
    for (let y = 50; y < header.height; y += 50) lines.append(element("line", { x1: 0, x2: header.width, y1: y, y2: y }));
    under.push(lines);
  }
  const extreme = (pick, index) => pick(...boxes.map((box) => box[index]));
  if (header.hull && boxes.length) {
    const hull = [extreme(Math.min, 0), extreme(Math.min, 1), extreme(Math.max, 2), extreme(Math.max, 3)];
    under.push(rect_of(hull, "hull"));
  }
  if (header.shared && boxes.length) {
    under.push(rect_of(
      [extreme(Math.max, 0), extreme(Math.max, 1), extreme(Math.min, 2), extreme(Math.min, 3)], "shared"));
  }
  const groups = boxes.map((box, index) => {
    const name = header.boxes[index].name;
    const group = element("g", {
      class: `box kind${index % 4}`, tabindex: 0, role: "slider", "data-index": index,
      "aria-label": `${name}: arrow keys move it, with Ctrl they change its size`,
      "aria-valuetext": box.map((value) => Math.round(value)).join(", "),
    });
    group.append(rect_of(box, "body"));
    // Near the right border a name is written leftwards, so that it stays inside.
    const ends = box[0] > 0.8 * header.width;
    const label = element("text", {
      x: ends ? header.width - 6 * unit : box[0] + 6 * unit, y: box[1] + 18 * unit, "font-size": 15 * unit,
      "text-anchor": ends ? "end" : "start",
    });
    label.textContent = name;
    group.append(label);
    CORNERS.forEach(([across, down], corner) => group.append(element("circle", {
      cx: box[across], cy: box[down], r: 6.5 * unit, class: corner % 2 ? "handle rising" : "handle",
      "data-corner": corner,
    })));
    return group;
  });
  const focused = root.querySelector("g.box:focus")?.dataset.index ?? root._focus;
  svg.replaceChildren(...under, ...groups);
  if (focused !== undefined && root._focus !== undefined) groups[focused]?.focus({ preventScroll: true });
}

function listen(root, svg) {
  const point = (event) => {
    const frame = svg.getBoundingClientRect();
    return [
      ((event.clientX - frame.left) / frame.width) * root._header.width,
      ((event.clientY - frame.top) / frame.height) * root._header.height,
    ];
  };
  svg.addEventListener("pointerdown", (event) => {
    const group = event.target.closest("g.box");
    const anew = !group && root._header.draw_new && root._boxes.length > 0;
    if ((!group && !anew) || event.button > 0) return;
    const index = anew ? 0 : Number(group.dataset.index);
    const corner = event.target.dataset.corner;
    root._drag = {
      index, from: point(event), box: [...root._boxes[index]], pointer: event.pointerId,
      corner: corner === undefined ? null : CORNERS[Number(corner)], anew, sent: 0,
    };
    root._focus = index;
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
    root._draw();
  });
  svg.addEventListener("pointermove", (event) => {
    const drag = root._drag;
    if (!drag || event.pointerId !== drag.pointer) return;
    const at = point(event);
    const [x, y] = [at[0] - drag.from[0], at[1] - drag.from[1]];
    if (drag.anew) root._boxes[drag.index] = spanned(drag.from, at, root._header);
    else root._boxes[drag.index] = drag.corner
      ? stretched(drag.box, drag.corner, x, y, root._header) : moved(drag.box, x, y, root._header);
    root._draw();
    const now = performance.now();
    if (now - drag.sent < SEND_EVERY_MS) return;
    drag.sent = now;
    root._send(drag.index, root._boxes[drag.index]);
  });
  const end = (event) => {
    const drag = root._drag;
    if (!drag || event.pointerId !== drag.pointer) return;
    root._drag = null;
    hold(root);
    root._boxes[drag.index] = root._boxes[drag.index].map(Math.round);
    root._send(drag.index, root._boxes[drag.index]);
  };
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", end);
  svg.addEventListener("focusin", (event) => {
    const group = event.target.closest("g.box");
    if (group) root._focus = Number(group.dataset.index);
  });
  svg.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !svg.contains(event.relatedTarget)) root._focus = undefined;
  });
  svg.addEventListener("keydown", (event) => {
    const group = event.target.closest("g.box");
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!group || !step) return;
    event.preventDefault();
    const index = Number(group.dataset.index);
    const [x, y] = step.map((value) => value * (event.shiftKey ? 10 : 1));
    const box = root._boxes[index];
    root._boxes[index] = event.ctrlKey || event.metaKey
      ? stretched(box, [2, 3], x, y, root._header) : moved(box, x, y, root._header);
    root._focus = index;
    root._draw();
    clearTimeout(root._timer);
    root._timer = setTimeout(() => root._send(index, root._boxes[index]), 60);
    hold(root);
  });
}

// For a moment after the hand lets go, answers to earlier positions may still come in.
function hold(root) {
  root._keyed = true;
  clearTimeout(root._release);
  root._release = setTimeout(() => { root._keyed = false; }, 700);
}
