// @ts-check
// The laboratory: a network whose knobs the reader turns, measured in double
// precision. It is the network of its page's Python, drawn from the same
// random numbers. In a chapter, a few of its knobs stand beside a figure. A
// page without #lab only gets the functions.

/**
 * Seed torch's random numbers, of 32 bits each: the Mersenne Twister of
 * Matsumoto and Nishimura (1998).
 * @param {number} seed
 */
function mersenneTwister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const last = state[i - 1];
    state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
  }
  let i = 0;
  return () => {
    const next = (i + 1) % 624;
    let y = (state[i] & 0x80000000) | (state[next] & 0x7fffffff);
    y = (y >>> 1) ^ (-(y & 1) & 0x9908b0df) ^ state[(i + 397) % 624];
    state[i] = y;
    i = next;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return y ^ (y >>> 18);
  };
}

/**
 * Draw the Linears that torch.manual_seed(seed) and then nn.Linear(n, m),
 * layer after layer, make: weights, row by row, and biases, each of 24 bits,
 * between minus and plus 1 / sqrt(n), and rounded to float32.
 * @param {number} seed @param {number[]} sizes
 */
export function drawLinears(seed, sizes) {
  const bits = mersenneTwister(seed);
  return sizes.slice(1).map((rows, layer) => {
    const columns = sizes[layer];
    const bound = Math.fround(1 / Math.sqrt(columns));
    const [weight, bias] = [rows * columns, rows].map((count) => {
      const numbers = new Float32Array(count);
      for (let i = 0; i < count; i++)
        numbers[i] = ((bits() & 0xffffff) / 2 ** 24) * (2 * bound) - bound;
      return numbers;
    });
    return { rows, columns, weight, bias };
  });
}

/** @typedef {ReturnType<typeof drawLinears>[number]} Linear */

/**
 * Compute erfc to its last digit: a series up to 3, beyond it the continued
 * fraction (Abramowitz and Stegun, 7.1.6 and 7.1.14).
 * @type {(x: number) => number}
 */
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

/** @param {number} z */
const sigmoid = (z) => 1 / (1 + Math.exp(-z));

/**
 * Activations: value and slope at z, in torch's own words where rounding
 * decides what becomes exactly zero.
 * @type {Record<string, { name: string, python: string,
 *   at: (z: number) => [number, number] }>}
 */
const ACTIVATIONS = {
  "gelu-tanh": {
    name: "GELU, tanh form",
    python: 'nn.GELU(approximate="tanh")',
    at(z) {
      const root = Math.sqrt(2 / Math.PI);
      const t = Math.tanh(root * (z + 0.044715 * z ** 3));
      const bend = root * (1 + 3 * 0.044715 * z * z);
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

/** @param {Float64Array} numbers */
function mean(numbers) {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum / numbers.length;
}

/** Return torch.linspace(1, -1, n): 1, 0, -1 of 3. @param {number} n */
function input(n) {
  const step = -2 / (n - 1);
  return Float64Array.from({ length: n }, (_, i) => {
    if (n === 1) return 1;
    return i < n / 2 ? 1 + step * i : -1 - step * (n - 1 - i);
  });
}

/** Normalise a stream, there and back. @param {Float64Array} h */
function layerNorm(h) {
  const centre = mean(h);
  const centred = h.map((v) => v - centre);
  const variance = mean(centred.map((v) => v * v));
  const factor = 1 / Math.sqrt(variance + 1e-5);
  const x = centred.map((v) => v * factor);
  /** @param {Float64Array} gradient */
  const back = (gradient) => {
    const centre = mean(gradient);
    const along = mean(gradient.map((v, i) => v * x[i]));
    return gradient.map((v, i) => factor * (v - centre - x[i] * along));
  };
  return { x, back };
}

/**
 * Send a stream h through a layer, and dy/dout (above) back to dy/dz (delta)
 * and dy/dh (below).
 * @param {Float64Array} h @param {Linear} linear
 * @param {State} state @param {boolean} shortcut
 */
function pass(h, linear, { activation, skip, scale, norm }, shortcut) {
  const { rows, columns, weight, bias } = linear;
  const { at } = ACTIVATIONS[activation];
  const bypassed = shortcut && rows === columns;
  const normed = norm === "pre" && layerNorm(h);
  const x = normed ? normed.x : h;
  const out = new Float64Array(rows);
  const slopes = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    let z = bias[i];
    for (let j = 0; j < columns; j++) z += weight[i * columns + j] * x[j];
    const [value, slope] = at(z);
    out[i] = bypassed ? skip * h[i] + scale * value : value;
    slopes[i] = bypassed ? scale * slope : slope;
  }
  /** @param {Float64Array} above */
  const back = (above) => {
    const delta = above.map((v, i) => v * slopes[i]);
    let below = new Float64Array(columns);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        below[j] += weight[i * columns + j] * delta[i];
    if (normed) below = normed.back(below);
    if (bypassed) below = below.map((v, i) => v + skip * above[i]);
    return { delta, below };
  };
  return { h, x, out, back };
}

// Gradients of a layer.
const METRICS = {
  printed: { name: "mean |dL/dW|, as printed" },
  output: { name: "mean |dy/dW|: divided by |dL/dy|" },
  delta: { name: "mean |δ|, the error signal dL/dz" },
};

/**
 * Measure a network there and back. For one sample dy/dW is dy/dz times what
 * goes into the Linear, so their means multiply.
 * @param {Linear[]} linears @param {State} state @param {boolean} shortcut
 */
function measure(linears, state, shortcut) {
  let h = input(linears[0].columns);
  const passes = linears.map((linear) => {
    const passed = pass(h, linear, state, shortcut);
    h = passed.out;
    return passed;
  });
  const y = h[0];
  const own = Math.abs(2 * y); // |dL/dy|
  let above = Float64Array.of(1); // dy/dout, from the output back
  const gradients = passes.toReversed().map(({ x, back }) => {
    const { delta, below } = back(above);
    above = below;
    const size = mean(delta.map(Math.abs));
    const output = size * mean(x.map(Math.abs));
    return { printed: own * output, output, delta: own * size }[state.metric];
  });
  return {
    kind: shortcut ? "with" : "without",
    front: shortcut === (state.shortcut === "on"),
    y,
    gradients: gradients.reverse(),
    activations: passes.map((layer) => mean(layer.h.map(Math.abs))),
  };
}

/** @typedef {ReturnType<typeof measure>} Network */

// The last Linears drawn, since that takes longer than to measure them.
const last = { key: "", linears: drawLinears(0, []) };

/** Measure without shortcuts and with them. @param {State} state */
function measureBoth(state) {
  const sizes = [...Array(state.depth).fill(state.width), 1];
  const key = `${state.seed}: ${sizes}`;
  if (last.key !== key) last.linears = drawLinears(state.seed, sizes);
  last.key = key;
  return [false, true].map((has) => measure(last.linears, state, has));
}

/**
 * Knobs: choices, or numbers from low or 0, whole if not any; slider is its
 * upper end.
 * @type {Record<string, { name: string } & (
 *   { start: string, choices: Record<string, { name: string }> } |
 *   { start: number, low?: 1, high: number, any?: true, slider?: number })>}
 */
const KNOBS = {
  depth: { name: "Layers", start: 5, low: 1, high: 50, slider: 50 },
  width: { name: "Units in each", start: 3, low: 1, high: 64, slider: 64 },
  skip: { name: "Shortcut scale", start: 1, high: 10, any: true, slider: 2 },
  scale: { name: "Branch scale", start: 1, high: 1e6, any: true, slider: 2 },
  seed: { name: "Seed", start: 123, high: 2 ** 32 - 1, slider: 9999 },
  activation: { name: "Activation", start: "gelu-tanh", choices: ACTIVATIONS },
  shortcut: {
    name: "Shortcuts",
    start: "off",
    choices: { off: { name: "without" }, on: { name: "with" } },
  },
  norm: {
    name: "Normalisation",
    start: "none",
    choices: { none: { name: "none" }, pre: { name: "LayerNorm first" } },
  },
  metric: { name: "Gradient", start: "printed", choices: METRICS },
};

/**
 * @typedef {Record<"depth" | "width" | "skip" | "scale" | "seed", number> &
 *   { metric: keyof typeof METRICS } & Record<string, number | string>} State
 */
const START = /** @type {State} */ (
  Object.fromEntries(Object.entries(KNOBS).map(([id, k]) => [id, k.start]))
);

/** @param {object} table @param {string} name @param {string} what */
function choose(table, name, what) {
  if (Object.hasOwn(table, name)) return name;
  const names = Object.keys(table).join(", ");
  throw new RangeError(`expected ${what}one of ${names}, got ${name}`);
}

/** Read a value of a knob. @param {string} id @param {string} text */
function readValue(id, text) {
  const knob = KNOBS[choose(KNOBS, id, "")];
  if ("choices" in knob) return choose(knob.choices, text, `${id} to be `);
  const { low = 0, high, any } = knob;
  const got = text.trim() || "none";
  const number = Number(got);
  const fits = number >= low && number <= high;
  if (fits && (any || Number.isInteger(number))) return number;
  const kind = any ? "a number" : "a whole number";
  const range = `${kind} from ${low} to ${high}`;
  throw new RangeError(`expected ${id} to be ${range}, got ${got}`);
}

/**
 * Turn knobs of a state, or throw a RangeError that says what is wrong.
 * @param {State} state @param {Iterable<string[]>} turns
 */
function turned(state, turns) {
  for (const [id, text] of turns)
    state = { ...state, [id]: readValue(id, text) };
  return state;
}

/** Write the knobs that are turned. @param {State} state */
function toAddress(state) {
  const turns = Object.entries(state).filter(([id, v]) => v !== START[id]);
  return `${new URLSearchParams(turns.map(([id, v]) => [id, String(v)]))}`;
}

// A panel, in pixels: its height, and the edges of its plot.
const HEIGHT = 280;
const TOP = 50;
const BOTTOM = 240;
const LEFT = 52;
const RIGHT = 14; // from the right

/**
 * What a logarithmic axis cannot show, and what stands for it at its ends.
 * @type {{ word: string, is: (v: number) => boolean, triangle: string }[]}
 */
const EXTREMES = [
  { word: "exactly 0", is: (v) => v === 0, triangle: `${BOTTOM}l-4 -7h8z` },
  { word: "overflow", is: (v) => !isFinite(v), triangle: `${TOP}l-4 7h8z` },
];

/** @param {number} number */
const extreme = (number) => EXTREMES.find(({ is }) => is(number));

/** Count extremes, as in "49 of 50 exactly 0". @param {number[]} values */
function extremes(values) {
  return EXTREMES.flatMap(({ word, is }) => {
    const count = values.filter(is).length;
    if (count === values.length) return `all ${word}`;
    return count ? `${count} of ${values.length} ${word}` : [];
  });
}

/** Write a number as Python does. @param {number} number */
function printed(number, digits = 3) {
  const [digit, power] = number.toExponential(digits).split("e");
  return `${digit}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** Write a number for a sentence. @param {number} number */
function said(number) {
  const beyond = extreme(number);
  if (beyond) return beyond.word;
  const size = Math.abs(number);
  if (size < 1e-3 || size >= 1e5) return printed(number, 2);
  return String(Number(number.toPrecision(3)));
}

/**
 * Fit the axes of a panel to curves: where layers (x) and logarithms (y) are.
 * @param {number} width @param {Curve[]} curves
 */
function fitAxes(width, curves) {
  const depth = curves[0].values.length;
  const left = LEFT + 8;
  const span = width - RIGHT - 8 - left;
  /** @param {number} layer */
  const x = (layer) => left + span * (depth > 1 ? layer / (depth - 1) : 0.5);
  /** @param {number} x */
  const layerAt = (x) =>
    Math.round(Math.min(1, Math.max(0, (x - left) / span)) * (depth - 1));
  const logs = curves
    .flatMap(({ values }) => values)
    .filter((value) => !extreme(value))
    .map(Math.log10);
  const low = logs.length ? Math.floor(Math.min(...logs)) : 0;
  const high = Math.max(low + 1, Math.ceil(Math.max(low, ...logs)));
  /** @param {number} log */
  const y = (log) =>
    TOP + 8 + ((high - log) / (high - low)) * (BOTTOM - TOP - 16);
  const powers = [];
  const step = Math.ceil((high - low) / 6);
  if (logs.length)
    for (let power = low; power <= high; power += step) powers.push(power);
  return { width, depth, x, layerAt, y, powers };
}

/** @typedef {ReturnType<typeof fitAxes>} Axes */

/** @param {Axes} axes */
function drawAxes({ width, depth, x, y, powers }) {
  const right = width - RIGHT;
  let svg = "";
  for (const power of powers) {
    const at = y(power).toFixed(1);
    const raised = `${power}`.replace("-", "−");
    svg +=
      `<path class="grid" d="M${LEFT} ${at}H${right}"/>` +
      `<text x="${LEFT - 6}" y="${at}" dy="0.32em" text-anchor="end">` +
      `10<tspan class="raised" dy="-0.5em">${raised}</tspan></text>`;
  }
  for (let layer = 0; layer < depth; layer += Math.ceil(depth / 10)) {
    const at = x(layer).toFixed(1);
    svg +=
      `<path class="axis" d="M${at} ${BOTTOM}v4"/><text x="${at}" ` +
      `y="${BOTTOM + 17}" text-anchor="middle">${layer}</text>`;
  }
  const middle = (LEFT + right) / 2;
  return (
    `${svg}<path class="axis" d="M${LEFT} ${TOP}V${BOTTOM}H${right}"/>` +
    `<text x="${middle}" y="${HEIGHT - 6}" text-anchor="middle">layer</text>`
  );
}

/**
 * A circle or a square of radius r, around where the pen stands.
 * @param {string} kind @param {number} r
 */
const markOf = (kind, r) =>
  kind === "without"
    ? `m${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`
    : `m${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`;

/** @typedef {{ kind: string, front: boolean, values: number[] }} Curve */

/** @param {Curve} curve @param {Record<string, string>} paths */
function group({ kind, front }, paths) {
  const drawn = Object.entries(paths).map(
    ([name, d]) => `<path class="${name}" d="${d}"/>`,
  );
  return `<g class="${kind} ${front ? "front" : ""}">${drawn.join("")}</g>`;
}

/** @param {Curve} curve @param {Axes} axes */
function drawCurve(curve, { x, y }) {
  const { kind, values } = curve;
  const mark = markOf(kind, values.length > 25 ? 1.8 : 3.5);
  const paths = { line: "", marks: "", ends: "" };
  let pen = "M";
  values.forEach((value, layer) => {
    const at = x(layer).toFixed(1);
    const beyond = extreme(value);
    if (beyond) paths.ends += `M${at} ${beyond.triangle}`;
    else {
      const place = `${at} ${y(Math.log10(value)).toFixed(1)}`;
      paths.line += pen + place;
      paths.marks += `M${place}${mark}`;
    }
    pen = beyond ? "M" : "L";
  });
  return group(curve, paths);
}

/** @param {Curve} curve @param {number} row */
function drawLegend(curve, row) {
  const { kind, front, values } = curve;
  const y = 14 + 18 * row;
  const marks = `M25 ${y}${markOf(kind, 3.5)}`;
  return (
    group(curve, { line: `M8 ${y}h34`, marks }) +
    `<text x="50" y="${y}" dy="0.35em" class="${front ? "front" : ""}">` +
    `${[`${kind} shortcuts`, ...extremes(values)].join(", ")}</text>`
  );
}

const EMPTY = `<svg role="img">${"<g></g>".repeat(4)}</svg>`;

/**
 * Draw a panel into an EMPTY one.
 * @param {SVGElement} svg @param {Axes} axes
 * @param {Curve[]} curves @param {number} [pointed]
 */
function drawPanel(svg, axes, curves, pointed) {
  const ordered = curves.toSorted((curve) => (curve.front ? 1 : -1));
  const line = `M${axes.x(pointed ?? 0)} ${TOP}V${BOTTOM}`;
  svg.setAttribute("viewBox", `0 0 ${axes.width} ${HEIGHT}`);
  [
    drawAxes(axes),
    pointed === undefined ? "" : `<path class="marked" d="${line}"/>`,
    ordered.map((curve) => drawCurve(curve, axes)).join(""),
    curves.map(drawLegend).join(""),
  ].forEach((drawing, i) => write(svg.children[i], drawing));
}

const WRITTEN = new WeakMap();

/**
 * Write HTML, which takes time, unless it is there.
 * @param {Element} element @param {string} html
 */
function write(element, html) {
  if (WRITTEN.get(element) !== html) element.innerHTML = html;
  WRITTEN.set(element, html);
}

/** @param {string} id */
function control(id) {
  const knob = KNOBS[id];
  const named = `id="knob-${id}" name="${id}"`;
  const label = `<div><label for="knob-${id}">${knob.name}</label>`;
  if ("choices" in knob) {
    const options = Object.entries(knob.choices).map(
      ([value, { name }]) => `<option value="${value}">${name}</option>`,
    );
    return `${label}<select ${named}>${options.join("")}</select></div>`;
  }
  const { name, low = 0, high, any, slider } = knob;
  const field =
    `<input type="number" ${named} min="${low}" max="${high}" ` +
    `step="${any ? "any" : 1}">`;
  const turn =
    `<input type="range" name="${id}" min="${low}" max="${slider}" ` +
    `step="${any ? 0.01 : 1}" aria-label="${name}, slider">`;
  return `${label}${field}${slider ? turn : ""}</div>`;
}

/**
 * Panels: what they show, and the word for it in a sentence.
 * @satisfies {Record<string,
 *   { name: (state: State) => string, word: string }>}
 */
const PANELS = {
  gradients: { name: ({ metric }) => METRICS[metric].name, word: "gradient" },
  activations: { name: () => "mean |h|, what goes in", word: "mean |h|" },
};

/** @typedef {keyof typeof PANELS} Shown */

/**
 * Frame knobs and panels; above the gradients stands the knob of their metric.
 * @param {string[]} knobs @param {Shown[]} shown
 */
function frame(knobs, shown) {
  const others = knobs.filter((id) => id !== "metric");
  const figures = shown.map((what) => {
    const chosen = what === "gradients" && others.length < knobs.length;
    const head = chosen ? control("metric") : '<div class="name"></div>';
    return `<figure>${head}${EMPTY}</figure>`;
  });
  return `<div class="live">
  <div class="presets" role="group" aria-label="Presets"></div>
  <form aria-label="Knobs">
    <div class="knobs">${others.map(control).join("")}
      <button type="reset">Reset</button>
    </div>
    <p class="complaint" role="alert"></p>
    <div class="panels">${figures.join("")}</div>
  </form>
  <p class="marked-says"></p>
  <p class="preset-says"></p>
  <div class="summary" role="status"></div>
  <details class="fold numbers">
    <summary>All numbers</summary>
    <div class="pst-scrollable-table-container" tabindex="0"></div>
  </details>
  <details class="fold python"><summary>Show the Python</summary></details
></div>`;
}

/** @param {Network} network @param {Shown} what */
function sentence(network, what) {
  const { kind, y, [what]: values } = network;
  const last = values.length - 1;
  const beyond = extremes(values);
  const ends = beyond[0]?.startsWith("all") ? [] : [...new Set([0, last])];
  const found = ends.map((i) => `${said(values[i])} at layer ${i}`);
  return (
    `<p><strong>${kind === "with" ? "With" : "Without"} shortcuts</strong>: ` +
    `${PANELS[what].word} ${[...found, ...beyond].join(", ")}. ` +
    `Output y: ${said(y)}.</p>`
  );
}

/**
 * Say the gain where what is shown has passed all layers, if it has one.
 * @param {Network[]} networks @param {Shown} what
 */
function gain([plain, shortcut], what) {
  const layer = what === "gradients" ? 0 : plain[what].length - 1;
  const ratio = shortcut[what][layer] / plain[what][layer];
  return extreme(ratio)
    ? ""
    : `<p>Gain at layer ${layer}: ${said(ratio)}.</p>`;
}

/** @param {Network[]} networks @param {Shown[]} shown @param {number} layer */
function atLayer(networks, shown, layer) {
  const numbers = networks.map((network) => {
    const words = shown.map(
      (what) => `${PANELS[what].word} ${said(network[what][layer])}`,
    );
    return `${network.kind} shortcuts ${words.join(", ")}`;
  });
  return `Layer ${layer}: ${numbers.join("; ")}.`;
}

/**
 * @param {Network[]} networks
 * @param {Shown[]} shown @param {string[]} names
 */
function table(networks, shown, names) {
  const columns = shown.flatMap((what) => networks.map((n) => n[what]));
  const rows = columns[0].map((_, layer) => {
    const fields = columns.map(({ [layer]: number }) => {
      const text = extreme(number)?.word ?? printed(number);
      return `<td><data value="${number}">${text}</data></td>`;
    });
    return `<tr><th scope="row">${layer}</th>${fields.join("")}</tr>`;
  });
  const heads = names.map(
    (name) => `<th colspan="2" scope="colgroup">${name}</th>`,
  );
  const kinds = networks.map(({ kind }) => `<th scope="col">${kind}</th>`);
  return (
    `<table class="table"><thead><tr><th rowspan="2" scope="col">layer</th>` +
    `${heads.join("")}</tr><tr>${kinds.join("").repeat(heads.length)}` +
    `</tr></thead><tbody>${rows.join("")}</tbody></table>`
  );
}

/** Write a state as the page's Python holds it. @param {State} state */
function settings(state) {
  const { depth, width, seed, skip, scale, activation } = state;
  const [on, pre] = [state.shortcut === "on", state.norm === "pre"].map(
    (is) => (is ? "True" : "False"),
  );
  return `depth, width, seed = ${depth}, ${width}, ${seed}
use_shortcut, skip, scale, normalise = ${on}, ${skip}, ${scale}, ${pre}
activation = ${ACTIVATIONS[activation].python}`;
}

/** Copy the page's Python, with a gap where it holds the state. */
function copyPython() {
  const cell = [...document.querySelectorAll("div.cell_input")].find((input) =>
    input.textContent.includes("depth, width, seed ="),
  );
  const texts = cell?.textContent.split("\n") ?? [];
  const first = texts.findIndex((text) => text.startsWith("depth, width"));
  const lines = cell?.outerHTML.split("\n") ?? [];
  lines.splice(first, 3, '<span class="settings"></span>');
  return lines.join("\n");
}

/** Find the sections of the page that say what to look for, and where. */
function findPresets() {
  const places = document.querySelectorAll("section > .preset");
  return Array.from(places, (place) => {
    const written = place.getAttribute("data-state") ?? "";
    const section = place.closest("section");
    const title = section?.querySelector("h3")?.firstChild;
    const button = document.createElement("button");
    button.type = "button";
    button.append(title?.textContent ?? "");
    return {
      button,
      id: section?.id,
      words: section?.querySelector("p")?.innerHTML,
      address: toAddress(turned(START, new URLSearchParams(written))),
    };
  });
}

/** The laboratory in its place: turn() -> state -> networks -> show(). */
class Laboratory {
  presets = findPresets();
  /** @type {number | undefined} */
  pointed; // the layer under the pointer

  /** @param {HTMLElement} place */
  constructor(place) {
    /** @type {HTMLElement | null} */
    const few = place.querySelector(".preset");
    const { state = "", knobs, panels } = few?.dataset ?? {};
    this.place = place;
    /** @type {HTMLAnchorElement | null} */ // to the whole laboratory
    this.link = few && place.querySelector("a[href^=laboratory]");
    this.start = this.state = turned(START, new URLSearchParams(state));
    this.networks = measureBoth(this.state);
    this.shown = /** @type {Shown[]} */ (
      panels?.split(" ") ?? Object.keys(PANELS)
    );
    place.insertAdjacentHTML(
      "beforeend",
      frame(knobs?.split(" ") ?? Object.keys(KNOBS), this.shown),
    );
    place.classList.add("alive");
    this.part(".presets").append(...this.presets.map((p) => p.button));
    this.part(".python").insertAdjacentHTML("beforeend", copyPython());
    /** @type {NodeListOf<HTMLInputElement>} */
    this.knobs = place.querySelectorAll("[name]");
    this.svgs = place.querySelectorAll("svg");
    this.width = this.svgs[0].clientWidth; // kept, since asking takes time
    this.show();
  }

  /** @param {string} selector */
  part(selector) {
    return /** @type {Element} */ (this.place.querySelector(selector));
  }

  listen() {
    for (const knob of this.knobs)
      knob.addEventListener("input", () =>
        this.turn(this.state, [[knob.name, knob.value]], knob),
      );
    const form = this.part("form");
    form.addEventListener("change", () => this.keepAddress());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.turn(this.start, []);
    });
    for (const { button, address } of this.presets)
      button.addEventListener("click", () => this.goTo(address));
    for (const svg of this.svgs) {
      svg.addEventListener("pointermove", ({ offsetX }) =>
        this.point(this.axes?.layerAt(offsetX)),
      );
      svg.addEventListener("pointerleave", () => this.point());
    }
    new ResizeObserver(() => {
      this.width = this.svgs[0].clientWidth;
      this.showPanels();
    }).observe(this.part(".panels"));
    const arrive = () => this.follow(location.href);
    arrive();
    addEventListener("load", arrive); // it has scrolled, too
    addEventListener("hashchange", ({ newURL }) => this.follow(newURL));
  }

  /** Follow a link, if it leads to the laboratory. @param {string} url */
  follow(url) {
    const name = new URL(url).hash.slice(1);
    const preset = this.presets.find(({ id }) => id === name);
    if (!preset && !name.includes("=")) return;
    this.goTo(preset?.address ?? name);
    this.place.scrollIntoView();
  }

  /** @param {string} address */
  goTo(address) {
    this.turn(START, new URLSearchParams(address));
  }

  /**
   * Turn knobs of a state, or say what is wrong. A held knob keeps its text.
   * @param {State} state @param {Iterable<string[]>} turns
   * @param {Element} [held]
   */
  turn(state, turns, held) {
    try {
      this.state = turned(state, turns);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.part(".complaint").textContent = error.message;
      held?.setAttribute("aria-invalid", "true");
      return;
    }
    this.networks = measureBoth(this.state);
    this.pointed = undefined;
    this.show(held);
    if (!held) this.keepAddress();
  }

  /** @param {number} [layer] */
  point(layer) {
    this.pointed = layer;
    this.showPanels();
  }

  get preset() {
    const address = toAddress(this.state);
    return this.presets.find((preset) => preset.address === address);
  }

  keepAddress() {
    const name = this.preset?.id ?? toAddress(this.state);
    if (this.link) this.link.hash = name;
    else history.replaceState(null, "", `#${name}`);
  }

  /** @param {Element} [held] */
  show(held) {
    const { state, networks, shown, preset } = this;
    const names = shown.map((what) => PANELS[what].name(state));
    const told = networks.filter(({ front }) => front || !this.link);
    const sentences = told.map((n) => sentence(n, shown[0]));
    if (networks[1].front) sentences.reverse();
    this.svgs.forEach((svg, i) => {
      svg.setAttribute("aria-label", `${names[i]}, by layer`);
      const head = svg.previousElementSibling;
      if (head?.className === "name") write(head, names[i]);
    });
    this.showPanels();
    sentences.push(gain(networks, shown[0]));
    write(this.part(".summary"), sentences.join(" "));
    write(this.part(".numbers div"), table(networks, shown, names));
    this.part(".settings").textContent = settings(state);
    for (const knob of this.knobs) {
      if (knob !== held) knob.value = String(state[knob.name]);
      knob.removeAttribute("aria-invalid");
    }
    for (const each of this.presets)
      each.button.setAttribute("aria-pressed", String(each === preset));
    write(this.part(".preset-says"), preset?.words ?? "");
    this.part(".complaint").textContent = "";
  }

  showPanels() {
    const { networks, shown, pointed } = this;
    shown.forEach((what, i) => {
      const curves = networks.map((n) => ({ ...n, values: n[what] }));
      this.axes = fitAxes(this.width, curves);
      drawPanel(this.svgs[i], this.axes, curves, pointed);
    });
    this.part(".marked-says").textContent =
      pointed === undefined ? "" : atLayer(networks, shown, pointed);
  }
}

const place = document.getElementById("lab");
if (place) new Laboratory(place).listen();
