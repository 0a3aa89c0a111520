// A picture whose pixels can be picked with the mouse or the arrow keys, and on which boxes mark pixels.
// Data: bytes = header length (uint32, little endian), header (JSON, UTF-8), picture (JPEG or PNG).
// Header: rows, columns (pixel grid that picks are told in), boxes [{top, left, height, width, kind}],
// clickable, selected [row, column] or null, alt, max_height_px, mime.
// Answers by the trigger "pick": {row, column}.

const SVG = "http://www.w3.org/2000/svg";

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

function rectangle(box, header, pixels_per_unit) {
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("x", box.left);
  rect.setAttribute("y", box.top);
  rect.setAttribute("width", box.width);
  rect.setAttribute("height", box.height);
  rect.setAttribute("class", box.kind || "window");
  rect.setAttribute("vector-effect", "non-scaling-stroke");
  const group = document.createElementNS(SVG, "g");
  group.appendChild(rect);
  // A box of a few screen pixels is lost on a photograph: a ring of fixed size leads the eye to it.
  if (box.width * pixels_per_unit < 14 && box.height * pixels_per_unit < 14) {
    const ring = document.createElementNS(SVG, "ellipse");
    ring.setAttribute("cx", box.left + box.width / 2);
    ring.setAttribute("cy", box.top + box.height / 2);
    ring.setAttribute("rx", 13 / pixels_per_unit);
    ring.setAttribute("ry", 13 / pixels_per_unit);
    ring.setAttribute("class", "ring");
    ring.setAttribute("vector-effect", "non-scaling-stroke");
    group.appendChild(ring);
  }
  return group;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".picture");
  if (!root || !data) return;
  const image = root.querySelector("img");
  const overlay = root.querySelector("svg");
  const [header, picture] = unpack(data);

  const sum = checksum(picture);
  if (root.dataset.sum !== String(sum)) {
    const url = URL.createObjectURL(new Blob([picture], { type: header.mime }));
    const previous = image.src;
    image.src = url;
    root.dataset.sum = String(sum);
    if (previous.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(previous), 2000);
  }
  image.alt = header.alt;
  // The height follows from the width, so that a narrow column shrinks both and the picture keeps its shape.
  image.style.width = Math.round((header.max_height_px * header.columns) / header.rows) + "px";
  image.style.aspectRatio = `${header.columns} / ${header.rows}`;
  // Small pictures are shown as sharp squares, never smoothed.
  image.classList.toggle("sharp", Math.max(header.rows, header.columns) <= 128);
  root.classList.toggle("clickable", header.clickable);
  root.tabIndex = header.clickable ? 0 : -1;
  root.setAttribute("role", header.clickable ? "application" : "img");
  root.setAttribute("aria-label", header.clickable
    ? `${header.alt}. Click a pixel, or move with the arrow keys.` : header.alt);

  const draw = () => {
    const pixels_per_unit = Math.max(image.clientWidth, 1) / header.columns;
    overlay.setAttribute("viewBox", `0 0 ${header.columns} ${header.rows}`);
    overlay.replaceChildren(...header.boxes.map((box) => rectangle(box, header, pixels_per_unit)));
  };
  draw();
  root._draw = draw;
  if (!root._observer) {
    root._observer = new ResizeObserver(() => root._draw());
    root._observer.observe(image);
  }

  const clamp = (value, limit) => Math.min(Math.max(value, 0), limit - 1);
  const pick = (row, column) => {
    setTriggerValue("pick", { row: clamp(row, header.rows), column: clamp(column, header.columns) });
  };
  const pixel_at = (event) => {
    const frame = image.getBoundingClientRect();
    return [
      Math.floor(((event.clientY - frame.top) / frame.height) * header.rows),
      Math.floor(((event.clientX - frame.left) / frame.width) * header.columns),
    ];
  };
  root.onclick = header.clickable ? (event) => pick(...pixel_at(event)) : null;
  root.onkeydown = header.clickable ? (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const step = event.shiftKey ? 10 : 1;
    const from = root._selected || header.selected || [0, 0];
    root._selected = [clamp(from[0] + step * move[0], header.rows), clamp(from[1] + step * move[1], header.columns)];
    clearTimeout(root._timer);
    root._timer = setTimeout(() => { pick(...root._selected); root._selected = null; }, 60);
  } : null;
}
