// The laboratory: a network whose knobs the reader turns, measured in double
// precision. It is the network of the page's Python, drawn from the same
// random numbers. A page that holds no #lab only gets the functions.

// Random numbers: torch's generator, the Mersenne Twister of Matsumoto and
// Nishimura (1998), which returns 32 bits at a time.
function mersenneTwister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const last = state[i - 1];
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
  }
  let next = 624;
  const twist = () => {
    for (let i = 0; i < 624; i++) {
      const after = state[i < 623 ? i + 1 : 0];
      const y = (state[i] & 0x80000000) | (after & 0x7fffffff);
      const mixed = (y >>> 1) ^ (-(y & 1) & 0x9908b0df);
      state[i] = state[i < 227 ? i + 397 : i - 227] ^ mixed;
    }
    next = 0;
  };
  return () => {
    if (next === 624) twist();
    let y = state[next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return y ^ (y >>> 18);
  };
}

// The Linears that torch.manual_seed(seed) and then nn.Linear(n, m), layer
// after layer, make: weights, row by row, and biases. Each number takes 24
// bits, lies between minus and plus 1 / sqrt(n), and is rounded to float32.
export function drawLinears(seed, sizes) {
  const bits = mersenneTwister(seed);
  return sizes.slice(1).map((rows, layer) => {
    const columns = sizes[layer];
    const bound = Math.fround(1 / Math.sqrt(columns));
    const uniform = (count) => {
      const numbers = new Float32Array(count);
      for (let i = 0; i < count; i++) {
        const u = (bits() & 0xffffff) / 2 ** 24;
        numbers[i] = u * (2 * bound) - bound;
      }
      return numbers;
    };
    const weight = uniform(rows * columns);
    return { rows, columns, weight, bias: uniform(rows) };
  });
}

// Activations: each returns its value and its slope, in torch's own words
// where rounding decides what becomes exactly zero.
const ROOT = Math.sqrt(2 / Math.PI);
const sigmoid = (z) => 1 / (1 + Math.exp(-z));

// erfc keeps its digits far to the right: a series up to 3, beyond it the
// continued fraction (Abramowitz and Stegun, 7.1.6 and 7.1.14).
function erfc(x) {
  if (x < 0) return 2 - erfc(-x);
  const bell = Math.exp(-x * x);
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; term > 1e-17 * sum; n++)
      sum += term *= (x * x) / (n + 0.5);
    return 1 - (2 / Math.sqrt(Math.PI)) * bell * sum;
  }
  let tail = x;
  for (let n = 40; n > 0; n--) tail = x + n / 2 / tail;
  return bell / Math.sqrt(Math.PI) / tail;
}

const ACTIVATIONS = {
  "gelu-tanh": {
    name: "GELU, tanh form",
    python: 'nn.GELU(approximate="tanh")',
    at(z) {
      const t = Math.tanh(ROOT * (z + 0.044715 * z ** 3));
      const bend = ROOT * (1 + 3 * 0.044715 * z * z);
      const slope = 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * bend;
      return [0.5 * z * (1 + t), slope];
    },
  },
  gelu: {
    name: "GELU, exact",
    python: "lambda z: z / 2 * torch.erfc(-z / 2**0.5)",
    at(z) {
      const below = erfc(-z / Math.SQRT2) / 2;
      const bell = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
      return [z * below, below + z * bell];
    },
  },
  relu: {
    name: "ReLU",
    python: "nn.ReLU()",
    at: (z) => (z > 0 ? [z, 1] : [0, 0]),
  },
  silu: {
    name: "SiLU",
    python: "nn.SiLU()",
    at(z) {
      const s = sigmoid(z);
      return [z * s, s * (1 + z * (1 - s))];
    },
  },
  tanh: {
    name: "tanh",
    python: "nn.Tanh()",
    at(z) {
      const t = Math.tanh(z);
      return [t, 1 - t * t];
    },
  },
  sigmoid: {
    name: "sigmoid",
    python: "nn.Sigmoid()",
    at(z) {
      const s = sigmoid(z);
      return [s, s * (1 - s)];
    },
  },
};

// Measuring: one pass there and back.
function mean(numbers) {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum / numbers.length;
}

const meanSize = (numbers) => mean(numbers.map(Math.abs));

// torch.linspace(1, -1, n) in float64: 1, 0, -1 for three units.
function input(n) {
  const step = -2 / (n - 1);
  return Float64Array.from({ length: n }, (_, i) => {
    if (n === 1) return 1;
    return i < n / 2 ? 1 + step * i : -1 - step * (n - 1 - i);
  });
}

function layerNorm(h) {
  const centre = mean(h);
  const centred = h.map((v) => v - centre);
  const variance = mean(centred.map((v) => v * v));
  const factor = 1 / Math.sqrt(variance + 1e-5);
  return { x: centred.map((v) => v * factor), factor };
}

// The way back through a LayerNorm that has returned x.
function layerNormBack(gradient, { x, factor }) {
  const centre = mean(gradient);
  const along = mean(gradient.map((v, i) => v * x[i]));
  return gradient.map((v, i) => factor * (v - centre - x[i] * along));
}

// The output y, the loss's own gradient dL/dy = 2y, and for each layer the
// means of |h|, |dy/dz| and |dy/dW|. For one sample dy/dW is dy/dz times what
// goes into the Linear, so their means multiply.
function measure(linears, { activation, scale, norm }, shortcut) {
  const { at } = ACTIVATIONS[activation];
  let h = input(linears[0].columns);
  const layers = linears.map((linear) => {
    const { rows, columns, weight, bias } = linear;
    const bypassed = shortcut && rows === columns;
    const normed = norm === "pre" ? layerNorm(h) : { x: h };
    const { x } = normed;
    const out = new Float64Array(rows);
    const slopes = new Float64Array(rows);
    for (let i = 0; i < rows; i++) {
      let z = bias[i];
      for (let j = 0; j < columns; j++) z += weight[i * columns + j] * x[j];
      const [value, slope] = at(z);
      out[i] = bypassed ? h[i] + scale * value : value;
      slopes[i] = bypassed ? scale * slope : slope;
    }
    const layer = { linear, bypassed, normed, slopes, h: meanSize(h) };
    h = out;
    return layer;
  });
  let gradient = Float64Array.of(1); // dy/dh, from the output back
  for (const layer of layers.toReversed()) {
    const { rows, columns, weight } = layer.linear;
    const above = gradient;
    const delta = above.map((v, i) => v * layer.slopes[i]);
    gradient = new Float64Array(columns);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        gradient[j] += weight[i * columns + j] * delta[i];
    if (norm === "pre") gradient = layerNormBack(gradient, layer.normed);
    if (layer.bypassed) gradient = gradient.map((v, i) => v + above[i]);
    layer.delta = meanSize(delta);
    layer.slope = layer.delta * meanSize(layer.normed.x);
  }
  return { y: h[0], own: Math.abs(2 * h[0]), layers };
}

// What the gradient panel can show of a layer, given |dL/dy|.
const METRICS = {
  printed: {
    name: "mean |dL/dW|, as printed",
    of: (layer, own) => own * layer.slope,
  },
  output: {
    name: "mean |dy/dW|: divided by |dL/dy|",
    of: (layer) => layer.slope,
  },
  delta: {
    name: "mean |δ|, the error signal dL/dz",
    of: (layer, own) => own * layer.delta,
  },
};

// Knobs: what can be turned, and how far. The first choice is the start.
const KNOBS = {
  depth: { name: "Layers", low: 1, high: 50, start: 5, slider: [1, 50, 1] },
  width: {
    name: "Units in each",
    low: 1,
    high: 64,
    start: 3,
    slider: [1, 64, 1],
  },
  scale: {
    name: "Branch scale",
    low: 0,
    high: 1e6,
    start: 1,
    any: true,
    slider: [0, 2, 0.01],
  },
  seed: { name: "Seed", low: 0, high: 2 ** 32 - 1, start: 123 },
  activation: { name: "Activation", choices: ACTIVATIONS },
  shortcut: {
    name: "Shortcuts",
    choices: { off: { name: "without" }, on: { name: "with" } },
  },
  norm: {
    name: "Normalisation",
    choices: { none: { name: "none" }, pre: { name: "LayerNorm first" } },
  },
  metric: { name: "Gradient", choices: METRICS },
};

const START = Object.fromEntries(
  Object.entries(KNOBS).map(([knob, { choices, start }]) => [
    knob,
    choices ? Object.keys(choices)[0] : start,
  ]),
);

// A knob's value from what is written, or an error that says what is wrong.
function checked(knob, text) {
  if (!Object.hasOwn(KNOBS, knob)) {
    const knobs = Object.keys(KNOBS).join(", ");
    throw new RangeError(`expected one of ${knobs}, got ${knob}`);
  }
  const { choices, low, high, any } = KNOBS[knob];
  if (choices) {
    if (Object.hasOwn(choices, text)) return text;
    const names = Object.keys(choices).join(", ");
    throw new RangeError(
      `expected ${knob} to be one of ${names}, got ${text}`,
    );
  }
  const number = text.trim() === "" ? NaN : Number(text);
  const fits = number >= low && number <= high;
  if (fits && (any || Number.isInteger(number))) return number;
  const kind = any ? "a number" : "a whole number";
  const got = text.trim() || "none";
  throw new RangeError(
    `expected ${knob} to be ${kind} from ${low} to ${high}, got ${got}`,
  );
}

// A state as an address holds it, and back: the knobs that are turned.
function written(state) {
  const turned = Object.entries(state).filter(([k, v]) => v !== START[k]);
  return new URLSearchParams(turned).toString();
}

function read(text) {
  const state = { ...START };
  for (const [knob, value] of new URLSearchParams(text))
    state[knob] = checked(knob, value);
  return state;
}

// Numbers as Python writes them, and in words where a number says little.
function printed(number, digits = 3) {
  const [digit, power] = number.toExponential(digits).split("e");
  return `${digit}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

function said(number) {
  if (!Number.isFinite(number)) return "overflow";
  if (number === 0) return "exactly 0";
  const size = Math.abs(number);
  if (size < 1e-3 || size >= 1e5) return printed(number, 2);
  return String(Number(number.toPrecision(3)));
}

// Drawing: one panel as SVG. Zeros and overflow have marks of their own at
// the ends of the axis, which is logarithmic.
const HEIGHT = 280;
const EDGE = { left: 52, right: 14, top: 50, bottom: 40 };
const superscript = (power) =>
  [...String(power)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");

function scales(width, depth, curves) {
  const logs = curves
    .flatMap((curve) => curve.values)
    .filter((v) => v > 0 && Number.isFinite(v))
    .map(Math.log10);
  const low = logs.length ? Math.floor(Math.min(...logs)) : 0;
  const high = Math.max(low + 1, Math.ceil(Math.max(low, ...logs)));
  const x = (layer) => {
    const part = depth > 1 ? layer / (depth - 1) : 0.5;
    return EDGE.left + 8 + part * (width - EDGE.left - EDGE.right - 16);
  };
  const y = (log) => {
    const part = (high - log) / (high - low);
    return EDGE.top + 8 + part * (HEIGHT - EDGE.top - EDGE.bottom - 16);
  };
  const ticks = [];
  const step = Math.ceil((high - low) / 6);
  if (logs.length)
    for (let power = low; power <= high; power += step) ticks.push(power);
  return { x, y, ticks };
}

function layerAt(x, width, depth) {
  const part = (x - EDGE.left - 8) / (width - EDGE.left - EDGE.right - 16);
  return Math.round(Math.min(1, Math.max(0, part)) * (depth - 1));
}

function axes(width, depth, { x, y, ticks }) {
  const bottom = HEIGHT - EDGE.bottom;
  const parts = [];
  for (const power of ticks) {
    const at = y(power).toFixed(1);
    parts.push(
      `<path class="grid" d="M${EDGE.left} ${at}H${width - EDGE.right}"/>`,
      `<text x="${EDGE.left - 6}" y="${at}" dy="0.32em" text-anchor="end">` +
        `10${superscript(power)}</text>`,
    );
  }
  const stride = Math.ceil(depth / 10);
  for (let layer = 0; layer < depth; layer += stride) {
    const at = x(layer).toFixed(1);
    parts.push(
      `<path class="axis" d="M${at} ${bottom}v4"/>` +
        `<text x="${at}" y="${bottom + 17}" text-anchor="middle">` +
        `${layer}</text>`,
    );
  }
  const middle = (EDGE.left + width - EDGE.right) / 2;
  parts.push(
    `<path class="axis" d="M${EDGE.left} ${EDGE.top}V${bottom}` +
      `H${width - EDGE.right}"/>`,
    `<text x="${middle}" y="${HEIGHT - 6}" text-anchor="middle">layer</text>`,
  );
  return parts.join("");
}

function curve({ kind, values, front }, { x, y }) {
  const mark = MARKS[kind](values.length > 25 ? 1.8 : 3.5);
  let line = "";
  let marks = "";
  let strange = "";
  let pen = "M";
  values.forEach((value, layer) => {
    const across = x(layer).toFixed(1);
    if (value > 0 && Number.isFinite(value)) {
      const place = `${across} ${y(Math.log10(value)).toFixed(1)}`;
      line += pen + place;
      marks += `M${place}${mark}`;
      pen = "L";
    } else {
      strange +=
        value === 0
          ? `M${across} ${HEIGHT - EDGE.bottom}l-4 -7h8z`
          : `M${across} ${EDGE.top}l-4 7h8z`;
      pen = "M";
    }
  });
  return (
    `<g class="${kind} ${front ? "front" : ""}">` +
    `<path class="line" d="${line}"/><path class="marks" d="${marks}"/>` +
    `<path class="ends" d="${strange}"/></g>`
  );
}

// A circle and a square of radius r, around where the pen stands.
const MARKS = {
  without: (r) =>
    `m${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  with: (r) => `m${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
};

function legend({ kind, values, front }, row) {
  const y = 14 + 18 * row;
  const name = `${kind} shortcuts`;
  const place = front ? "front" : "";
  return (
    `<g class="${kind} ${place}"><path class="line" d="M8 ${y}h34"/>` +
    `<path class="marks" d="M25 ${y}${MARKS[kind](3.5)}"/></g>` +
    `<text x="50" y="${y}" dy="0.35em" class="${place}">` +
    `${[name, ...ends(values)].join(", ")}</text>`
  );
}

// What a logarithmic axis cannot show, in words.
function ends(values) {
  const zeros = values.filter((v) => v === 0).length;
  const overflow = values.filter((v) => !Number.isFinite(v)).length;
  const share = (n) =>
    n === values.length ? "all" : `${n} of ${values.length}`;
  const found = [];
  if (zeros) found.push(`${share(zeros)} exactly 0`);
  if (overflow) found.push(`${share(overflow)} overflow`);
  return found;
}

function panel(svg, width, curves, marked) {
  const depth = curves[0].values.length;
  const to = scales(width, depth, curves);
  const ordered = curves.toSorted((a, b) => a.front - b.front);
  const line = `M${to.x(marked)} ${EDGE.top}V${HEIGHT - EDGE.bottom}`;
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  [
    axes(width, depth, to),
    marked === null ? "" : `<path class="marked" d="${line}"/>`,
    ordered.map((one) => curve(one, to)).join(""),
    curves.map(legend).join(""),
  ].forEach((drawing, i) => write(svg.children[i], drawing));
}

// Most of a page stays as it is when a knob is turned, and writing takes time.
const WRITTEN = new WeakMap();

function write(element, html) {
  if (WRITTEN.get(element) !== html) element.innerHTML = html;
  WRITTEN.set(element, html);
}

// The page: controls, panels, words and the Python, all made from one state.
function control(knob) {
  const { name, choices, low, high, slider, any } = KNOBS[knob];
  const label = `<label for="knob-${knob}">${name}</label>`;
  const its = `id="knob-${knob}" name="${knob}"`;
  if (choices) {
    const options = Object.entries(choices).map(
      ([value, choice]) => `<option value="${value}">${choice.name}</option>`,
    );
    return `<div>${label}<select ${its}>${options.join("")}</select></div>`;
  }
  const range = (from, to, step) => `min="${from}" max="${to}" step="${step}"`;
  const number = range(low, high, any ? "any" : 1);
  const turn = slider
    ? `<input type="range" name="${knob}" ${range(...slider)} ` +
      `aria-label="${name}, slider">`
    : "";
  return `<div>${label}<input type="number" ${its} ${number}>${turn}</div>`;
}

const PLACES = Object.keys(KNOBS).filter((knob) => knob !== "metric");
const EMPTY = `<svg role="img">${"<g></g>".repeat(4)}</svg>`;
const INSIDE = `
  <div class="presets" role="group" aria-label="Presets"></div>
  <form aria-label="Knobs">
    <div class="knobs">${PLACES.map(control).join("")}
      <button type="reset">Reset</button>
    </div>
    <p class="complaint" role="alert"></p>
    <div class="panels">
      <figure>${control("metric")}${EMPTY}</figure>
      <figure>
        <div>mean |h|, what goes into each layer</div>
        ${EMPTY}
      </figure>
    </div>
  </form>
  <p class="marked-says"></p>
  <p class="preset-says"></p>
  <div class="summary" role="status"></div>
  <details class="fold numbers">
    <summary>All numbers</summary>
    <div class="pst-scrollable-table-container" tabindex="0"></div>
  </details>
  <details class="fold python"><summary>Show the Python</summary></details>`;

// What both networks measure, those without shortcuts first.
function results(linears, state) {
  return ["without", "with"].map((kind, shortcut) => {
    const found = measure(linears, state, Boolean(shortcut));
    const { of } = METRICS[state.metric];
    return {
      kind,
      front: (state.shortcut === "on") === Boolean(shortcut),
      y: found.y,
      gradients: found.layers.map((layer) => of(layer, found.own)),
      activations: found.layers.map((layer) => layer.h),
    };
  });
}

function sentence({ kind, y, gradients }) {
  const last = gradients.length - 1;
  const found = [`${said(gradients[0])} at layer 0`];
  if (last) found.push(`${said(gradients[last])} at layer ${last}`);
  const strange = ends(gradients);
  if (strange[0]?.startsWith("all")) found.length = 0; // and that is all
  return (
    `<strong>${kind === "with" ? "With" : "Without"} shortcuts</strong>: ` +
    `gradient ${[...found, ...strange].join(", ")}. Output y: ${said(y)}.`
  );
}

function table(networks, metric) {
  const columns = ["gradients", "activations"].flatMap((what) =>
    networks.map((network) => network[what]),
  );
  const field = (number) => {
    const plain = number !== 0 && Number.isFinite(number);
    const text = plain ? printed(number) : said(number);
    return `<td><data value="${number}">${text}</data></td>`;
  };
  const rows = columns[0].map((_, layer) => {
    const fields = columns.map((column) => field(column[layer])).join("");
    return `<tr><th scope="row">${layer}</th>${fields}</tr>`;
  });
  const kinds = networks.map(({ kind }) => `<th scope="col">${kind}</th>`);
  return (
    `<table class="table"><thead><tr><th rowspan="2" scope="col">layer</th>` +
    `<th colspan="2" scope="colgroup">${metric}</th>` +
    `<th colspan="2" scope="colgroup">mean |h|</th></tr>` +
    `<tr>${kinds.join("").repeat(2)}</tr></thead>` +
    `<tbody>${rows.join("")}</tbody></table>`
  );
}

// The lines of the page's Python that hold the state.
function settings({ depth, width, seed, shortcut, scale, norm, activation }) {
  const python = (is) => (is ? "True" : "False");
  return [
    `depth, width, seed = ${depth}, ${width}, ${seed}`,
    "use_shortcut, scale, normalise = " +
      `${python(shortcut === "on")}, ${scale}, ${python(norm === "pre")}`,
    `activation = ${ACTIVATIONS[activation].python}`,
  ];
}

// A copy of the page's Python whose state can be changed.
function livePython() {
  const cell = [...document.querySelectorAll("div.cell_input")].find((input) =>
    input.textContent.includes("depth, width, seed ="),
  );
  const copy = cell.cloneNode(true);
  const code = copy.querySelector("pre");
  const texts = code.textContent.split("\n");
  const first = texts.findIndex((line) => line.startsWith("depth, width"));
  const lines = code.innerHTML.split("\n");
  lines.splice(first, 3, '<span class="settings"></span>');
  code.innerHTML = lines.join("\n");
  const held = code.querySelector(".settings");
  const show = (state) => {
    held.textContent = settings(state).join("\n");
  };
  return { copy, show };
}

// The sections of the page that say what to look for, and where.
function findPresets() {
  return [...document.querySelectorAll(".preset")].map((place) => {
    const section = place.closest("section");
    return {
      title: section.querySelector("h3").firstChild.textContent,
      words: section.querySelector("p").innerHTML,
      id: section.id,
      address: written(read(place.dataset.state)),
    };
  });
}

function start(place) {
  const live = document.createElement("div");
  live.innerHTML = INSIDE;
  live.className = "live";
  place.append(live);
  place.classList.add("alive");
  const part = (selector) => live.querySelector(selector);
  const form = part("form");
  const [gradientPanel, activationPanel] = live.querySelectorAll("svg");
  const python = livePython();
  part(".python").append(python.copy);
  const presets = findPresets();
  part(".presets").innerHTML = presets
    .map(({ title }) => `<button type="button">${title}</button>`)
    .join("");
  const buttons = [...part(".presets").children];

  let state = START;
  let linears, drawn, networks;
  let marked = null; // the layer under the pointer
  let width = gradientPanel.clientWidth; // kept, since asking takes time

  const draw = () => {
    const { depth, width: units, seed } = state;
    const sizes = [...Array(depth).fill(units), 1];
    if (drawn !== `${seed}: ${sizes}`) linears = drawLinears(seed, sizes);
    drawn = `${seed}: ${sizes}`;
  };

  const drawPanels = () => {
    for (const [svg, what] of [
      [gradientPanel, "gradients"],
      [activationPanel, "activations"],
    ]) {
      const curves = networks.map((n) => ({ ...n, values: n[what] }));
      panel(svg, width, curves, marked);
    }
    const at = ({ kind, gradients, activations }) =>
      `${kind} shortcuts gradient ${said(gradients[marked])}, ` +
      `mean |h| ${said(activations[marked])}`;
    part(".marked-says").textContent =
      marked === null
        ? ""
        : `Layer ${marked}: ${networks.map(at).join("; ")}.`;
  };

  const show = (turned, source) => {
    state = turned;
    marked = null;
    draw();
    networks = results(linears, state);
    const metric = METRICS[state.metric].name;
    const sentences = networks
      .toSorted((a, b) => b.front - a.front)
      .map(sentence);
    gradientPanel.setAttribute("aria-label", `${metric}, by layer`);
    activationPanel.setAttribute("aria-label", "mean |h|, by layer");
    drawPanels();
    write(part(".summary"), sentences.map((s) => `<p>${s}</p>`).join(""));
    write(part(".numbers div"), table(networks, metric));
    python.show(state);
    for (const input of form.querySelectorAll("[name]")) {
      if (input !== source) input.value = state[input.name];
      input.removeAttribute("aria-invalid");
    }
    const now = presets.findIndex((p) => p.address === written(state));
    buttons.forEach((b, i) => b.setAttribute("aria-pressed", i === now));
    write(part(".preset-says"), presets[now]?.words ?? "");
    part(".complaint").textContent = "";
  };

  // Say what is wrong and change nothing.
  const attempt = (action, source) => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      part(".complaint").textContent = error.message;
      source?.setAttribute("aria-invalid", "true");
    }
  };

  const keepAddress = () => {
    const now = presets.find((p) => p.address === written(state));
    history.replaceState(null, "", `#${now?.id ?? written(state)}`);
  };

  // Any other place of the page is none of the laboratory's business.
  const follow = (url) => {
    const name = new URL(url).hash.slice(1);
    const preset = presets.find(({ id }) => id === name);
    if (!preset && !name.includes("=")) return;
    attempt(() => {
      show(read(preset ? preset.address : name));
      keepAddress();
    });
    place.scrollIntoView();
  };

  form.addEventListener("input", ({ target }) =>
    attempt(() => {
      const value = checked(target.name, target.value);
      show({ ...state, [target.name]: value }, target);
    }, target),
  );
  form.addEventListener("change", keepAddress);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    show(START);
    keepAddress();
  });
  buttons.forEach((button, i) =>
    button.addEventListener("click", () => {
      show(read(presets[i].address));
      keepAddress();
    }),
  );
  for (const svg of [gradientPanel, activationPanel]) {
    svg.addEventListener("pointermove", ({ offsetX }) => {
      marked = layerAt(offsetX, width, state.depth);
      drawPanels();
    });
    svg.addEventListener("pointerleave", () => {
      marked = null;
      drawPanels();
    });
  }
  new ResizeObserver(() => {
    width = gradientPanel.clientWidth;
    drawPanels();
  }).observe(part(".panels"));
  show(START);
  follow(location);
  addEventListener("load", () => follow(location)); // it has scrolled, too
  addEventListener("hashchange", (event) => follow(event.newURL));
}

const place = document.getElementById("lab");
if (place) start(place);
