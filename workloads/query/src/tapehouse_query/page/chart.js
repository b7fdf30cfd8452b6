// A candlestick chart on a canvas. Rising candles are hollow and falling ones filled, so that
// colour is not the only sign.

const RIGHT = 64, BOTTOM = 22, TOP = 8, VOLUME = 0.18;

export function draw(canvas, candles, size) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  if (!candles.length) return;
  const look = style(canvas);
  const plot = { width: width - RIGHT, height: height - BOTTOM };
  const first = candles[0].start, last = candles.at(-1).start;
  const slots = Math.max(30, (last - first) / size + 1);
  const step = plot.width / slots;
  const x = (start) => plot.width - ((last - start) / size + 0.5) * step;
  const y = prices(candles, plot.height * (1 - VOLUME));
  g.font = "11.5px " + look.mono;
  grid(g, y, plot, look, y(candles.at(-1).close));
  times(g, candles, x, plot, look, step);
  volumes(g, candles, x, plot, step, look);
  const body = Math.max(1, Math.min(14, step * 0.66));
  for (const candle of candles) stick(g, candle, x(candle.start), y, body, look);
  lastPrice(g, candles.at(-1), y, plot, look);
}

function style(canvas) {
  const css = getComputedStyle(canvas);
  const probe = document.createElement("i");
  canvas.before(probe);
  const colour = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
  const look = {
    up: colour("up"), down: colour("down"), line: colour("line"), soft: colour("soft"),
    ink: colour("ink"), sheet: colour("sheet"), mono: css.getPropertyValue("--mono"),
  };
  probe.remove();
  return look;
}

function prices(candles, height) {
  let low = Infinity, high = -Infinity;
  for (const one of candles) { low = Math.min(low, one.low); high = Math.max(high, one.high); }
  const pad = (high - low || high * 0.001 || 1) * 0.06;
  low -= pad; high += pad;
  const y = (price) => TOP + (high - price) / (high - low) * (height - TOP);
  return Object.assign(y, { low, high });
}

function grid(g, y, plot, look, taken) {
  const raw = (y.high - y.low) / 6, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  g.textBaseline = "middle";
  g.textAlign = "left";
  for (let price = Math.ceil(y.low / step) * step; price < y.high; price += step) {
    g.strokeStyle = look.line;
    line(g, 0, y(price), plot.width, y(price));
    g.fillStyle = look.soft;
    if (Math.abs(y(price) - taken) > 16) g.fillText(price.toFixed(digits), plot.width + 8, y(price));
  }
}

function times(g, candles, x, plot, look, step) {
  g.textBaseline = "top";
  g.textAlign = "center";
  g.fillStyle = look.soft;
  let free = 24;
  for (const { start } of candles) {
    const minutes = start / 60000, at = x(start);
    const every = step > 12 ? 5 : step > 5 ? 15 : 30;
    if (minutes % every || at < free || at > plot.width - 10) continue;
    g.fillText(new Date(start).toISOString().slice(11, 16), at, plot.height + 7);
    free = at + 70;
  }
}

function volumes(g, candles, x, plot, step, look) {
  const most = Math.max(...candles.map((one) => one.volume));
  g.globalAlpha = 0.28;
  for (const one of candles) {
    const height = one.volume / most * plot.height * VOLUME;
    g.fillStyle = one.close >= one.open ? look.up : look.down;
    const body = Math.max(1, Math.min(14, step * 0.66));
    g.fillRect(x(one.start) - body / 2, plot.height - height, body, height);
  }
  g.globalAlpha = 1;
}

function stick(g, one, at, y, body, look) {
  const rising = one.close >= one.open;
  g.strokeStyle = g.fillStyle = rising ? look.up : look.down;
  g.lineWidth = 1.25;
  line(g, at, y(one.high), at, y(one.low));
  const top = y(Math.max(one.open, one.close));
  const height = Math.max(1, y(Math.min(one.open, one.close)) - top);
  if (rising && body > 3) { g.fillStyle = look.sheet; g.fillRect(at - body / 2, top, body, height); g.strokeRect(at - body / 2, top, body, height); }
  else g.fillRect(at - body / 2, top, body, height);
  g.lineWidth = 1;
}

function lastPrice(g, one, y, plot, look) {
  const at = y(one.close), colour = one.close >= one.open ? look.up : look.down;
  g.strokeStyle = colour;
  g.setLineDash([2, 3]);
  line(g, 0, at, plot.width, at);
  g.setLineDash([]);
  g.fillStyle = colour;
  g.fillRect(plot.width + 2, at - 9, RIGHT - 4, 18);
  g.fillStyle = look.sheet;
  g.textAlign = "left";
  g.textBaseline = "middle";
  g.fillText(one.close.toFixed(2), plot.width + 8, at);
}

function line(g, x1, y1, x2, y2) {
  g.beginPath();
  g.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  g.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
  g.stroke();
}
