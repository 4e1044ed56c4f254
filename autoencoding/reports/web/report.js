"use strict";

// The page of a table's outliers: one state, and functions that draw parts of the page from it.
// Text of the table is only ever put in by textContent.

const PAGE_ROWS = 100; // rows of a list that are shown at first, and with each "Show more"
const DETAILS = 20; // columns of a row that are shown at first
const BINS = 120;
const CROWD = 300; // flagged points from which on they are drawn smaller
const [COLD, WARM] = [[47, 111, 171], [232, 119, 34]]; // of numbers
const WORDS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const find = (id) => document.getElementById(id);
const whole = (number) => number.toLocaleString("en");
const percent = (share) => {
  const fine = share < 0.0995 || (share > 0.99 && share < 0.9995);
  return `${(100 * share).toFixed(fine ? 1 : 0)} %`;
};
const brief = (number) => String(Number(number.toPrecision(4)));
const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? "" : "s"}`;

// Unpacking

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(find(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Bytes of float64 numbers, first all of the lowest, which compress better
function numbersOf(buffer) {
  const bytes = new Uint8Array(buffer);
  const count = bytes.length / 8;
  const joined = new DataView(new ArrayBuffer(bytes.length));
  for (let place = 0; place < 8; place++) {
    for (let i = 0; i < count; i++) joined.setUint8(8 * i + place, bytes[place * count + i]);
  }
  return Float64Array.from({ length: count }, (_, i) => joined.getFloat64(8 * i, true));
}

// How many of the scores, which fall, are above a value
function countAbove(scores, value) {
  let [low, high] = [0, scores.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] > value) low = middle + 1;
    else high = middle;
  }
  return low;
}

class Report {
  constructor(data, scores) {
    Object.assign(this, data); // title, about, rows, ranks, threshold, columns, training, ...
    this.scores = scores; // in falling order, of all rows or, where these are many, some
    this.shares = this.shares.map((own) => own.map((share) => share / 1000));
    this.causes = this.shares.map((own) => own.indexOf(Math.max(...own)));
    this.haystacks = this.found.score.map((_, i) => this.wordsOf(i).join("\n").toLowerCase());
  }

  // All rows with a score above the threshold, in the table, not only of those held here
  above(threshold) {
    const stored = countAbove(this.scores, threshold);
    return this.ranks ? this.ranks[stored] : stored;
  }

  // Where only some scores are stored, the nearest threshold whose count is known
  exact(threshold) {
    if (!this.ranks) return threshold;
    const stored = countAbove(this.scores, threshold);
    const gap = this.ranks[stored] - (stored ? this.ranks[stored - 1] : 0);
    return gap > 1 && stored < this.scores.length ? this.scores[stored] : threshold;
  }

  name(row) {
    const part = this.found.part ? `${this.found.part[row]}, ` : "";
    return `${part}row ${this.found.row[row]}`;
  }

  isFlagged(row) {
    return this.found.score[row] > state.threshold;
  }

  // Columns of a row, those with most of its score first
  ranked(row) {
    const own = this.shares[row];
    return own.map((_, column) => column).sort((a, b) => own[b] - own[a] || a - b);
  }

  wordsOf(row) {
    const known = this.along.map(([, texts]) => texts[row]);
    const values = this.values.map((texts) => texts[row]);
    return [this.name(row), ...known, ...values];
  }
}

let report;
const state = {
  threshold: 0,
  chosen: 0, // place of a row among those held
  order: { key: "score", falling: true },
  search: "",
  cause: -1,
  colour: -1, // a column, or whether rows are flagged
  listed: PAGE_ROWS,
};

// Small helpers for elements and canvases

function element(tag, content, attributes = {}) {
  const made = document.createElement(tag);
  if (content instanceof Node) made.append(content);
  else made.textContent = content;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function cellOf(text) {
  return text === "" ? element("td", element("em", "empty")) : element("td", text);
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "soft", "line", "normal", "flagged", "chosen", "panel"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// A canvas of as many pixels as it has on the screen, cleared, in the units of the page
function cleared(id) {
  const canvas = find(id);
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}

// A scale from values to pixels; values that are all the same get some room
function scaleOf(low, high, from, to) {
  if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
  const scale = (value) => from + ((value - low) / (high - low)) * (to - from);
  scale.value = (pixel) => low + ((pixel - from) / (to - from)) * (high - low);
  return Object.assign(scale, { low, high });
}

// Round numbers within a range, about so many
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= rough);
  const first = Math.ceil(low / step);
  const found = [];
  for (let i = first; i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function axisX(pen, scale, bottom, title, paint, whole = false) {
  pen.fillStyle = paint.soft;
  pen.strokeStyle = paint.line;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const tick of ticks(scale.low, scale.high, 6)) {
    if (whole && !Number.isInteger(tick)) continue;
    pen.beginPath();
    pen.moveTo(scale(tick), bottom);
    pen.lineTo(scale(tick), bottom + 4);
    pen.stroke();
    pen.fillText(brief(tick), scale(tick), bottom + 6);
  }
  pen.fillText(title, (scale(scale.low) + scale(scale.high)) / 2, bottom + 20);
}

function axisY(pen, scale, left, right, places, title, paint) {
  pen.fillStyle = paint.soft;
  pen.strokeStyle = paint.line;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const [place, label] of places) {
    pen.beginPath();
    pen.moveTo(left, scale(place));
    pen.lineTo(right, scale(place));
    pen.stroke();
    pen.fillText(label, left - 5, scale(place));
  }
  pen.save();
  pen.translate(10, (scale(scale.low) + scale(scale.high)) / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(title, 0, 0);
  pen.restore();
}

// The histogram of scores, on a logarithmic scale, and its threshold

const histogram = { counts: [], x: null };

function prepareHistogram() {
  const { scores } = report;
  const [high, low] = [scores[0], scores[scores.length - 1]];
  const bins = scaleOf(Math.min(low, state.threshold), Math.max(high, state.threshold), 0, BINS);
  const edges = Array.from({ length: BINS + 1 }, (_, i) => bins.value(i));
  const above = edges.map((edge) => report.above(edge));
  above[0] = report.rows; // the lowest score is in the first bin
  histogram.counts = above.slice(0, -1).map((count, i) => count - above[i + 1]);
  histogram.counts[BINS - 1] += above[BINS];
  Object.assign(histogram, { low: bins.low, high: bins.high });
}

function drawHistogram() {
  const paint = colours();
  const { pen, width, height } = cleared("histogram");
  const [left, bottom] = [58, height - 38];
  const x = scaleOf(histogram.low, histogram.high, left, width - 12);
  const most = Math.max(...histogram.counts);
  const y = scaleOf(-0.3, Math.log10(most) + 0.3, bottom, 10); // so that one row is seen, too
  const powers = Array.from({ length: Math.floor(y.high) + 1 }, (_, i) => [i, whole(10 ** i)]);
  axisY(pen, y, left, width - 12, powers, "rows", paint);
  axisX(pen, x, bottom, "score", paint);
  const step = (x(x.high) - x(x.low)) / BINS;
  histogram.counts.forEach((count, i) => {
    if (!count) return;
    const middle = x.low + ((i + 0.5) / BINS) * (x.high - x.low);
    pen.fillStyle = middle > state.threshold ? paint.flagged : paint.normal;
    const top = y(Math.log10(count));
    pen.fillRect(left + i * step, top, Math.max(step - 1, 0.7), bottom - top);
  });
  const line = x(state.threshold);
  pen.strokeStyle = pen.fillStyle = paint.text;
  pen.lineWidth = 2;
  pen.setLineDash([5, 3]);
  pen.beginPath();
  pen.moveTo(line, 4);
  pen.lineTo(line, bottom);
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  pen.arc(line, 8, 6, 0, 2 * Math.PI);
  pen.fill();
  histogram.x = x;
}

// How many rows are above all that were held out of training, and so beyond what is usual
function drawReference() {
  const { count, highest } = report.held_out;
  const button = find("reference");
  button.hidden = !count;
  const above = report.above(highest ?? 0);
  button.textContent = `${plural(above, "row")} above all ${whole(count)} held out of training`;
  button.setAttribute("aria-pressed", String(highest === state.threshold));
}

function setThreshold(value) {
  const threshold = report.exact(value);
  if (!Number.isFinite(threshold) || threshold === state.threshold) return;
  state.threshold = threshold;
  state.listed = PAGE_ROWS;
  drawSoon(drawThreshold);
}

function drawThreshold() {
  const { threshold } = state;
  const above = report.above(threshold);
  const share = above / report.rows;
  const scale = scaleOf(histogram.low, histogram.high, 0, 1000);
  const slider = find("slider");
  const told = `${whole(above)} of ${plural(report.rows, "row")} above ${brief(threshold)}`;
  find("counts").textContent = `${told}: ${(100 * share).toPrecision(3)} %`;
  slider.value = Math.round(scale(threshold));
  slider.setAttribute("aria-valuetext", told);
  find("threshold").value = Number(threshold.toPrecision(6));
  const option = `--contamination ${Number(share.toPrecision(4))}`;
  find("option").hidden = !(share > 0 && share < 1);
  find("option").firstElementChild.textContent = option;
  drawReference();
  drawHistogram();
  drawPlane();
  drawList();
  drawCauses();
  drawRow();
}

// The plane of codes

const plane = { places: [] };

// Colours of all points by the values of a column, and what they mean: numbers by rank, from blue
// to orange; of words the most frequent ones
function coloursBy(column) {
  const texts = report.values[column];
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  const numbers = texts.filter((text) => text !== "").map(Number);
  const grey = "#8c8c8c";
  if (numbers.length && counts.size > WORDS.length && !numbers.some(Number.isNaN)) {
    numbers.sort((a, b) => b - a);
    const share = (text) => countAbove(numbers, Number(text)) / Math.max(1, numbers.length - 1);
    const ends = [numbers[numbers.length - 1], numbers[0]].map(brief);
    return {
      points: texts.map((text) => (text === "" ? grey : between(COLD, WARM, 1 - share(text)))),
      legend: [[between(COLD, WARM, 0), `${ends[0]}, the least`], [between(COLD, WARM, 1), `${ends[1]}, the most`]],
    };
  }
  const words = [...counts].sort((a, b) => b[1] - a[1]).slice(0, WORDS.length);
  const named = new Map(words.map(([word], i) => [word, WORDS[i]]));
  const legend = [...named].map(([word, colour]) => [colour, word || "empty"]);
  if (counts.size > words.length) legend.push([grey, "others"]);
  return { points: texts.map((text) => named.get(text) ?? grey), legend };
}

function between(first, last, share) {
  const mixed = first.map((value, i) => Math.round(value + share * (last[i] - value)));
  return `rgb(${mixed.join(" ")})`;
}

function drawLegend({ legend }) {
  const keys = legend.map(([colour, text]) => {
    const key = element("span", "", { class: "key" });
    const mark = element("i", "", { class: "dot" });
    mark.style.background = colour;
    key.append(mark, ` ${text} `);
    return key;
  });
  find("legend").replaceChildren(...keys);
}

function drawPlane() {
  const paint = colours();
  const normal = { legend: [[paint.normal, "normal"], [paint.flagged, "above the threshold"]] };
  const by = state.colour < 0 ? normal : coloursBy(state.colour);
  drawLegend(by);
  const { pen, width, height } = cleared("plane");
  const [left, bottom] = [52, height - 38];
  const [first, second] = report.plane.places;
  const extent = (values) => [Math.min(...values), Math.max(...values)];
  const x = scaleOf(...extent(first), left + 8, width - 12);
  const y = scaleOf(...extent(second), bottom - 8, 12);
  const places = ticks(y.low, y.high, 5).map((tick) => [tick, brief(tick)]);
  axisY(pen, y, left, width - 4, places, report.plane.names[1], paint);
  axisX(pen, x, bottom, report.plane.names[0], paint);
  plane.places = first.map((value, i) => [x(value), y(second[i])]);
  const flagged = [];
  pen.fillStyle = paint.normal;
  pen.globalAlpha = 0.6;
  plane.places.forEach(([px, py], i) => {
    if (by.points) pen.fillStyle = by.points[i];
    if (report.isFlagged(i)) flagged.push([px, py, i]);
    else pen.fillRect(px - 1.75, py - 1.75, 3.5, 3.5);
  });
  pen.fillStyle = paint.flagged;
  pen.globalAlpha = flagged.length > CROWD ? 0.5 : 0.85;
  const size = flagged.length > CROWD ? 2.6 : 4.5;
  for (const [px, py, i] of flagged) {
    if (by.points) pen.fillStyle = by.points[i];
    pen.beginPath();
    pen.moveTo(px, py - size);
    pen.lineTo(px + 0.9 * size, py + 0.7 * size);
    pen.lineTo(px - 0.9 * size, py + 0.7 * size);
    pen.fill();
  }
  pen.globalAlpha = 1;
  const [px, py] = plane.places[state.chosen];
  pen.strokeStyle = paint.chosen;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(px, py, 8, 0, 2 * Math.PI);
  pen.stroke();
}

// The point nearest to a place on the canvas, if any is near; at one place the highest score
function pointAt(px, py, within = 12) {
  let [best, least] = [-1, within * within];
  plane.places.forEach(([x, y], i) => {
    const distance = (x - px) ** 2 + (y - py) ** 2;
    const nearer = best < 0 ? distance <= least : distance < least;
    const higher = distance === least && report.found.score[i] > report.found.score[best];
    if (nearer || higher) [best, least] = [i, distance];
  });
  return best;
}

// The nearest point in a direction, off which it may be by 45 degrees
function neighbour([right, down]) {
  const [px, py] = plane.places[state.chosen];
  let [best, least] = [state.chosen, Infinity];
  plane.places.forEach(([x, y], i) => {
    const along = (x - px) * right + (y - py) * down;
    const across = Math.abs((x - px) * down) + Math.abs((y - py) * right);
    if (along > 0.5 && across <= along && along + across < least) {
      [best, least] = [i, along + across];
    }
  });
  return best;
}

function showTip(row, px, py) {
  const tip = find("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const [column] = report.ranked(row);
  const known = report.along.map(([, texts]) => texts[row]);
  const cause = `${report.columns.name[column]} ${percent(report.shares[row][column])}`;
  const words = [report.name(row), ...known.slice(0, 2)].filter(Boolean).join(", ");
  tip.textContent = `${words}: score ${brief(report.found.score[row])}, ${cause}`;
  const room = tip.parentElement.clientWidth - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(px + 12, room))}px`;
  tip.style.top = `${py + 14}px`;
}

// The list of flagged rows

// What can be listed of a row: a title, the text, and what it is sorted by
function listColumns() {
  const { found, along, columns, values } = report;
  const known = along.slice(0, 2);
  return [
    ...(found.part ? [["part", "Part", (i) => found.part[i]]] : []),
    ["row", "Row", (i) => String(found.row[i]), (i) => found.row[i]],
    ...known.map(([name, texts]) => [`along ${name}`, name, (i) => texts[i]]),
    ["score", "Score", (i) => brief(found.score[i]), (i) => found.score[i]],
    ["cause", "Cause", (i) => columns.name[report.causes[i]]],
    ["value", "Value", (i) => values[report.causes[i]][i]],
    ["expected", "Expected", (i) => report.expected[report.causes[i]][i]],
    ["share", "Share", (i) => percent(shareOf(i)), (i) => shareOf(i)],
    ["p", "p-value", (i) => brief(found.p_value[i]), (i) => found.p_value[i]],
  ];
}

const shareOf = (row) => report.shares[row][report.causes[row]];

// Numbers by size, before any text; texts as people sort them
function compared(a, b) {
  const [x, y] = [Number(a), Number(b)];
  const numeric = [a !== "" && !Number.isNaN(x), b !== "" && !Number.isNaN(y)];
  if (numeric[0] && numeric[1]) return x - y;
  if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
  return collator.compare(a, b);
}

const collator = new Intl.Collator("en", { numeric: true });

function flaggedRows() {
  const rows = [];
  for (let i = 0; i < report.worst && report.isFlagged(i); i++) rows.push(i);
  return rows;
}

function listedRows() {
  const words = state.search.toLowerCase();
  const rows = flaggedRows().filter(
    (i) =>
      (state.cause < 0 || report.causes[i] === state.cause) &&
      (!words || report.haystacks[i].includes(words)),
  );
  const column = listColumns().find(([key]) => key === state.order.key);
  const value = column[3] ?? column[2];
  const sign = state.order.falling ? -1 : 1;
  return rows.sort((a, b) => sign * compared(value(a), value(b)) || a - b);
}

function drawListHead() {
  const row = document.createElement("tr");
  for (const [key, title, , number] of listColumns()) {
    const own = state.order.key === key;
    const button = element("button", title + (own ? (state.order.falling ? " ▼" : " ▲") : ""), {
      type: "button",
      "data-key": key,
    });
    const head = element("th", button, { scope: "col" });
    if (own) head.setAttribute("aria-sort", state.order.falling ? "descending" : "ascending");
    if (number) head.className = "number";
    row.append(head);
  }
  find("list").tHead.replaceChildren(row);
}

function drawList() {
  const rows = listedRows();
  const columns = listColumns();
  const made = rows.slice(0, state.listed).map((i) => listRow(i, columns));
  find("list").tBodies[0].replaceChildren(...made);
  find("more").hidden = rows.length <= state.listed;
  const held = flaggedRows().length;
  const above = report.above(state.threshold);
  const all = held < above ? `the worst ${whole(held)} of ${whole(above)}` : whole(above);
  const kept = rows.length < held ? `${whole(rows.length)} of ` : "";
  find("listed").textContent = above ? `${kept}${all} flagged.` : "No row is flagged.";
}

function listRow(i, columns) {
  const row = element("tr", "", { "data-row": i });
  for (const [key, , text, number] of columns) {
    let cell = cellOf(text(i));
    if (key === "row") cell = element("td", element("button", text(i), { type: "button" }));
    if (number) cell.className = "number";
    else cell.title = text(i);
    row.append(cell);
  }
  mark(row, i);
  return row;
}

function mark(row, i) {
  row.classList.toggle("chosen", i === state.chosen);
  if (i === state.chosen) row.setAttribute("aria-current", "true");
  else row.removeAttribute("aria-current");
}

function saveList() {
  const { found, along, columns, values } = report;
  const names = columns.name;
  const told = along.map(([name]) => name);
  const kept = values.map((_, i) => i).filter((i) => !told.includes(names[i]));
  const own = [...(found.part ? ["part"] : []), "row", "score", "p_value", "cause", "share"];
  const theirs = [...told, ...kept.map((i) => names[i])];
  const head = [...own, ...theirs.map((name) => (own.includes(name) ? `${name} (own)` : name))];
  const lines = listedRows().map((i) => [
    ...(found.part ? [found.part[i]] : []),
    ...[found.row[i], found.score[i], found.p_value[i], names[report.causes[i]], shareOf(i)],
    ...along.map(([, texts]) => texts[i]),
    ...kept.map((column) => values[column][i]),
  ]);
  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);
  const text = [head, ...lines].map((cells) => cells.map(quoted).join(",")).join("\r\n");
  const link = element("a", "", { download: "flagged-rows.csv" });
  link.href = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" }));
  link.click();
  find("saved").textContent = `Saved ${plural(lines.length, "row")} as ${link.download}.`;
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// One row in detail

function choose(row) {
  state.chosen = row;
  state.details = DETAILS;
  for (const listed of find("list").tBodies[0].rows) mark(listed, Number(listed.dataset.row));
  drawPlane();
  drawRow();
}

function drawRow() {
  const i = state.chosen;
  const { found, along, columns, values, expected, shares } = report;
  const name = report.name(i);
  find("row-title").textContent = name[0].toUpperCase() + name.slice(1);
  const known = along.map(([key, texts]) => `${key}: ${texts[i] || "empty"}`);
  const place = report.isFlagged(i) ? "above" : "not above";
  const about = `score ${brief(found.score[i])}, ${place} the threshold`;
  const odds = `p-value ${brief(found.p_value[i])}`;
  find("row-about").textContent = [...known, about, odds].join("; ");
  const ranked = report.ranked(i);
  const [first] = ranked;
  const [value, usual] = [values[first][i] || "empty", expected[first][i]];
  const why = `${columns.name[first]} has ${percent(shares[i][first])} of its score: it is ${value}`;
  const beside = value === usual ? ", as expected." : `, where ${usual} is expected.`;
  find("row-why").textContent = why + (usual ? beside : ".");
  const made = ranked.slice(0, state.details).map((column) => {
    const row = document.createElement("tr");
    row.append(element("th", columns.name[column], { scope: "row" }));
    row.append(cellOf(values[column][i]), element("td", expected[column][i] || "—"));
    row.append(shareCell(shares[i][column]));
    return row;
  });
  if (ranked.length > state.details) {
    const button = element("button", `Show all ${ranked.length} columns`, { type: "button" });
    made.push(element("tr", element("td", button, { colspan: 4 })));
    button.addEventListener("click", () => {
      state.details = Infinity;
      drawRow();
      find("row-title").focus();
    });
  }
  find("details").tBodies[0].replaceChildren(...made);
}

function shareCell(share) {
  const bar = element("i", "");
  bar.style.width = `${100 * share}px`;
  const holder = element("div", element("span", percent(share)), { class: "share" });
  holder.append(bar);
  return element("td", holder);
}

// What was made of the columns, with how many flagged rows have each as their cause

function drawColumns() {
  const names = Object.keys(report.columns);
  const titles = ["Column", ...names.slice(1), "Cause of flagged rows"];
  const head = document.createElement("tr");
  titles.forEach((title, i) => {
    const numeric = i && typeof (report.columns[names[i]] ?? [0])[0] === "number";
    head.append(element("th", title, { scope: "col", ...(numeric ? { class: "number" } : {}) }));
  });
  const rows = report.columns.name.map((name, i) => {
    const row = element("tr", element("th", name, { scope: "row" }));
    for (const key of names.slice(1)) {
      const value = report.columns[key][i];
      const numeric = typeof value === "number";
      row.append(element("td", numeric ? brief(value) : value ?? "", numeric ? { class: "number" } : {}));
    }
    const isLearnt = i < report.values.length;
    const button = element("button", "", { type: "button", "data-cause": i });
    row.append(element("td", isLearnt ? button : "—", { class: "number" }));
    return row;
  });
  find("columns").tHead.replaceChildren(head);
  find("columns").tBodies[0].replaceChildren(...rows);
  const choices = report.columns.name.slice(0, report.values.length);
  const options = (first) => [
    element("option", first, { value: -1 }),
    ...choices.map((name, i) => element("option", name, { value: i })),
  ];
  find("cause").replaceChildren(...options("any column"));
  find("colour").replaceChildren(...options("by the threshold"));
}

function drawCauses() {
  const counts = report.values.map(() => 0);
  for (const i of flaggedRows()) counts[report.causes[i]]++;
  for (const button of find("columns").querySelectorAll("button")) {
    const text = whole(counts[button.dataset.cause]);
    if (button.textContent === text) continue;
    button.textContent = text;
    const name = report.columns.name[button.dataset.cause];
    button.setAttribute("aria-label", `${text}: list the rows whose cause is ${name}`);
  }
}

// The loss

function drawLoss() {
  const { training } = report;
  if (!training) return;
  const paint = colours();
  const { pen, width, height } = cleared("loss");
  const [left, bottom] = [62, height - 38];
  const lines = [["training", training.loss, []]];
  if (training.validation_loss) lines.push(["validation", training.validation_loss, [6, 3]]);
  const all = lines.flatMap(([, values]) => values);
  const x = scaleOf(Math.min(...training.epoch), Math.max(...training.epoch), left, width - 12);
  const y = scaleOf(Math.min(...all), Math.max(...all), bottom - 6, 12);
  const places = ticks(y.low, y.high, 4).map((tick) => [tick, brief(tick)]);
  axisY(pen, y, left, width - 12, places, "loss", paint);
  axisX(pen, x, bottom, "epoch", paint, true);
  lines.forEach(([name, values, dash], number) => {
    pen.strokeStyle = pen.fillStyle = number ? paint.flagged : paint.normal;
    pen.lineWidth = 2;
    pen.setLineDash(dash);
    pen.beginPath();
    values.forEach((value, i) => pen.lineTo(x(training.epoch[i]), y(value)));
    pen.stroke();
    pen.setLineDash([]);
    if (values.length === 1) pen.fillRect(x(training.epoch[0]) - 3, y(values[0]) - 3, 6, 6);
    pen.textAlign = "right";
    pen.textBaseline = "top";
    pen.fillText(`${dash.length ? "- - " : "— "}${name}`, width - 14, 12 + 16 * number);
  });
  const [start, end] = [training.loss[0], training.loss[training.loss.length - 1]];
  const told = `Loss ${brief(start)} in the first, ${brief(end)} in the last of`;
  find("loss").setAttribute("aria-label", `${told} ${plural(training.loss.length, "epoch")}`);
}

// Events

const waiting = new Set();

// Draw once before the next frame, however often it is asked for
function drawSoon(draw) {
  if (waiting.has(draw)) return;
  waiting.add(draw);
  requestAnimationFrame(() => {
    waiting.delete(draw);
    draw();
  });
}

function listenToThreshold() {
  const canvas = find("histogram");
  const at = (event) => setThreshold(histogram.x.value(event.offsetX));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    at(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) at(event);
  });
  find("slider").addEventListener("input", (event) => {
    const scale = scaleOf(histogram.low, histogram.high, 0, 1000);
    setThreshold(scale.value(Number(event.target.value)));
  });
  find("reference").addEventListener("click", () => setThreshold(report.held_out.highest));
  find("threshold").addEventListener("change", (event) => setThreshold(event.target.valueAsNumber));
}

function listenToPlane() {
  const canvas = find("plane");
  find("colour").addEventListener("change", (event) => {
    state.colour = Number(event.target.value);
    drawPlane();
  });
  canvas.addEventListener("pointermove", (event) => {
    showTip(pointAt(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointerleave", () => showTip(-1));
  canvas.addEventListener("blur", () => showTip(-1));
  canvas.addEventListener("click", (event) => {
    const row = pointAt(event.offsetX, event.offsetY);
    if (row >= 0) choose(row);
  });
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    choose(neighbour(KEYS[event.key]));
    showTip(state.chosen, ...plane.places[state.chosen]);
    canvas.setAttribute("aria-label", find("tip").textContent);
  });
}

function listenToList() {
  const filter = (name, value) => {
    state[name] = value;
    state.listed = PAGE_ROWS;
    drawList();
  };
  find("search").addEventListener("input", (event) => filter("search", event.target.value));
  find("cause").addEventListener("change", (event) => filter("cause", Number(event.target.value)));
  find("columns").addEventListener("click", ({ target }) => {
    if (!("cause" in target.dataset)) return;
    find("cause").value = target.dataset.cause;
    filter("cause", Number(target.dataset.cause));
    find("list-title").scrollIntoView({ block: "nearest" });
    find("cause").focus();
  });
  find("more").addEventListener("click", () => {
    state.listed += PAGE_ROWS;
    drawList();
  });
  find("save").addEventListener("click", saveList);
  find("list").tHead.addEventListener("click", ({ target }) => {
    const { key } = target.dataset;
    if (!key) return;
    state.order = { key, falling: state.order.key === key ? !state.order.falling : key === "score" };
    drawListHead();
    drawList();
    find("list").querySelector(`[data-key="${CSS.escape(key)}"]`).focus();
  });
  const body = find("list").tBodies[0];
  body.addEventListener("click", ({ target }) => {
    const row = target.closest("tr");
    if (row) choose(Number(row.dataset.row));
  });
  body.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const row = step && event.target.closest("tr")[step];
    if (!row) return;
    event.preventDefault();
    row.querySelector("button").focus();
    choose(Number(row.dataset.row));
  });
}

function drawAll() {
  drawThreshold();
  drawLoss();
}

async function main() {
  if (!("DecompressionStream" in window)) {
    throw new Error("it needs a browser of 2023 or later");
  }
  const data = JSON.parse(new TextDecoder().decode(await unpacked("packed-data")));
  report = new Report(data, numbersOf(await unpacked("packed-scores")));
  Object.assign(state, { threshold: report.threshold, details: DETAILS });
  find("about").replaceChildren(...report.about.map((line) => element("li", line)));
  find("sampled").textContent = report.sampled;
  find("errors").textContent = report.errors;
  find("training").hidden = !report.training && !report.errors;
  find("loss").hidden = !report.training;
  find("plane").setAttribute("aria-label", "Codes of rows in a plane");
  prepareHistogram();
  drawColumns();
  drawListHead();
  listenToThreshold();
  listenToPlane();
  listenToList();
  drawAll();
  window.addEventListener("resize", () => drawSoon(drawAll));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  document.documentElement.dataset.drawn = Math.round(performance.now());
}

main().catch((error) => {
  const failure = find("failure");
  failure.textContent = `This page could not be drawn: ${error.message}.`;
  failure.hidden = false;
});
