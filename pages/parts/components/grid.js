// A matrix as a grid of coloured numbers: cells can be picked (mouse, arrow keys) or edited.
// Data: texts [[string]], colours [[css colour]], inks [[css colour]], selected [row, column] | null,
// marked [[row, column]], sources [[row, column]], faded [[row, column]], mode "view" | "pick" | "edit", label, cell_px, revision.
// Answers by the trigger "pick": {row, column}, or "edit": {row, column, text}.

function same(a, b) { return a && b && a[0] === b[0] && a[1] === b[1]; }

// A cell holds a field only while it is edited: forty-nine fields cost the browser more to draw than the photograph
// beside them.
function open_field(table, cell) {
  const row = Number(cell.dataset.row);
  const column = Number(cell.dataset.column);
  const shown = () => table._data?.texts[row]?.[column] ?? "";
  const field = document.createElement("input");
  field.type = "text";
  field.inputMode = "decimal";
  field.spellcheck = false;
  field.value = shown();
  field.dataset.sent = "";
  field.setAttribute("aria-label", `${table._data.label}, row ${row}, column ${column}`);
  const send = () => {
    if (field.value.trim() === shown() || field.dataset.sent === field.value) return;
    field.dataset.sent = field.value;
    table._edit(row, column, field.value);
    // What is no number is refused: the page says so, and the cell shows its number again.
    if (field.value.trim() === "" || !Number.isFinite(Number(field.value.replace(",", ".")))) field.value = shown();
  };
  field.onblur = () => {
    send();
    const left = field.value;
    // Not before the focus has arrived at the next cell.
    setTimeout(() => {
      cell.textContent = left;
      cell.tabIndex = 0;
      cell.setAttribute("aria-label", `${field.getAttribute("aria-label")}: ${left}`);
    }, 0);
  };
  field.onkeydown = (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], Enter: [1, 0] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const lines = table.rows.length;
    const next = table.rows[(row + move[0] + lines) % lines]?.cells[column];
    if (next && next !== cell) next.focus(); else send();
  };
  cell.tabIndex = -1; // or the way back by Tab would end here
  cell.removeAttribute("aria-label"); // the field has it
  cell.replaceChildren(field);
  field.focus();
  field.select();
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const table = parentElement.querySelector("table");
  if (!table || !data) return;
  const rows = data.texts.length;
  const columns = rows ? data.texts[0].length : 0;
  const key = (row, column) => row * columns + column;
  const marked = new Set(data.marked.map(([row, column]) => key(row, column)));
  const sources = new Set((data.sources || []).map(([row, column]) => key(row, column)));
  const faded = new Set(data.faded.map(([row, column]) => key(row, column)));
  table.setAttribute("aria-label", data.label);
  table.setAttribute("role", "grid");
  table.className = data.mode;
  table.style.setProperty("--cell", data.cell_px + "px");
  // A monospaced letter is 0.6 of its size wide: the longest number must fit into its cell.
  const longest = Math.max(1, ...data.texts.flat().map((text) => text.length));
  table.style.setProperty("--letter", Math.max(6, Math.min(15, (data.cell_px - 4) / (0.62 * longest))) + "px");

  const shape = `${rows}x${columns}:${data.mode}`;
  if (table.dataset.shape !== shape) {
    const body = document.createElement("tbody");
    for (let row = 0; row < rows; row++) {
      const line = document.createElement("tr");
      for (let column = 0; column < columns; column++) {
        const cell = document.createElement("td");
        cell.setAttribute("role", "gridcell");
        cell.dataset.row = row;
        cell.dataset.column = column;
        if (data.mode === "edit") cell.tabIndex = 0;
        line.appendChild(cell);
      }
      body.appendChild(line);
    }
    table.replaceChildren(body);
    table.dataset.shape = shape;
  }

  const cells = table.querySelectorAll("td");
  cells.forEach((cell) => {
    const row = Number(cell.dataset.row);
    const column = Number(cell.dataset.column);
    const text = data.texts[row][column];
    cell.style.background = data.colours[row][column];
    cell.style.color = data.inks[row][column];
    cell.classList.toggle("selected", same(data.selected, [row, column]));
    cell.classList.toggle("marked", marked.has(key(row, column)));
    cell.classList.toggle("source", sources.has(key(row, column)));
    cell.classList.toggle("faded", faded.has(key(row, column)));
    cell.title = `row ${row}, column ${column}: ${text}`;
    const field = cell.querySelector("input");
    if (!field) {
      cell.textContent = text;
      if (data.mode === "edit") {
        cell.setAttribute("aria-label", `${data.label}, row ${row}, column ${column}: ${text}`);
      }
    } else if (field.dataset.sent === field.value) {
      // What the person is typing is not overwritten by an answer that comes late.
      field.value = text;
    }
  });

  if (data.mode === "edit") {
    table._data = data;
    table._edit = (row, column, text) => setTriggerValue("edit", { row, column, text: text.slice(0, 24) });
    if (!table._listens) {
      table._listens = true;
      table.addEventListener("focusin", (event) => {
        if (table._data && event.target.tagName === "TD") open_field(table, event.target);
      });
    }
  } else {
    table._data = null;
  }

  const pick = (row, column) => setTriggerValue("pick", { row, column });
  if (data.mode === "pick") {
    table.tabIndex = 0;
    table.onclick = (event) => {
      const cell = event.target.closest("td");
      if (cell) pick(Number(cell.dataset.row), Number(cell.dataset.column));
    };
    table.onkeydown = (event) => {
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      const from = data.selected || [0, 0];
      const row = Math.min(Math.max(from[0] + move[0], 0), rows - 1);
      const column = Math.min(Math.max(from[1] + move[1], 0), columns - 1);
      pick(row, column);
    };
  } else {
    table.onclick = null;
    table.onkeydown = null;
    table.removeAttribute("tabindex");
  }
}
