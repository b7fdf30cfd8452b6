import { ask, follow } from "./graphql.js";
import { Candles, LENGTHS } from "./candles.js";
import { draw } from "./chart.js";
import { element, showResources } from "./resources.js";

const SHOWN = 90, TAPE = 18;
const byId = (id) => document.getElementById(id);
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const SYMBOLS = `{ trades(first: 500) { edges { node { symbol } } } }`;
const CANDLES = `query ($symbol: String!, $start: DateTimeOrDate, $interval: String!) {
  minuteCandles(symbol: $symbol, dateRange: {start: $start}, interval: $interval, first: 200) {
    edges { node { timestamp openPrice highPrice lowPrice closePrice totalVolume tradeCount } } } }`;
const TRADES = `subscription ($symbol: String) {
  onNewTrade(symbol: $symbol) { timestamp price quantity isAggressiveBuy } }`;
const EXAMPLE = `{
  trades(first: 5, filter: {minQuantity: 100}) {
    edges { node { timestamp symbol price quantity } }
    pageInfo { hasNextPage endCursor }
  }
}`;

const state = { symbol: null, interval: "1m", candles: new Candles(60), tape: [], dirty: true, stop: () => {} };

function choose(fieldset, name, values, chosen, onChange) {
  const labels = values.map((value) => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => onChange(value));
    label.append(input, element("span", value));
    return label;
  });
  fieldset.replaceChildren(fieldset.querySelector("legend"), ...labels);
}

function watch() {
  state.stop();
  const { symbol, interval } = state;
  const candles = state.candles = new Candles(LENGTHS[interval]);
  state.tape = [];
  state.dirty = true;
  state.stop = follow(TRADES, { symbol }, ({ onNewTrade: trade }) => {
    candles.add(trade);
    state.tape.unshift(trade);
    state.tape.length = Math.min(state.tape.length, TAPE);
    state.dirty = true;
  }, (up) => { byId("tape-note").textContent = up ? "" : "Live trades: connecting again …"; });
  loadCandles();
}

async function loadCandles() {
  const { symbol, interval, candles } = state;
  if (!symbol) return;
  const start = new Date(Date.now() - SHOWN * candles.size).toISOString();
  try {
    const data = await ask(CANDLES, { symbol, interval, start });
    candles.publish(data.minuteCandles.edges.map((edge) => edge.node));
    byId("chart-note").textContent = "";
    state.dirty = true;
  } catch (error) {
    byId("chart-note").textContent = `Candles: ${error.message}`;
  }
}

async function loadSymbols() {
  if (state.symbol) return;
  try {
    const data = await ask(SYMBOLS);
    const symbols = [...new Set(data.trades.edges.map((edge) => edge.node.symbol))].sort().slice(0, 12);
    if (!symbols.length) throw new Error("no trade has been published yet");
    state.symbol = symbols[0];
    choose(byId("symbols"), "symbol", symbols, state.symbol, (value) => { state.symbol = value; watch(); });
    watch();
  } catch (error) {
    byId("chart-note").textContent = `Waiting for trades: ${error.message}`;
  }
}

function show() {
  if (state.dirty && !document.hidden) {
    state.dirty = false;
    const candles = state.candles.list(SHOWN);
    draw(byId("chart"), candles, state.candles.size);
    showQuote(candles.at(-1));
    showTable(candles);
    showTape();
  }
  requestAnimationFrame(() => setTimeout(show, 100));
}

function showQuote(last) {
  if (!last) return;
  const change = last.close - last.open;
  byId("price").textContent = money.format(last.close);
  byId("change").textContent = `${change < 0 ? "▼" : "▲"} ${money.format(Math.abs(change))}`;
  byId("change").className = change < 0 ? "down" : "up";
  byId("legend").textContent = `O ${money.format(last.open)}  H ${money.format(last.high)}  L ${money.format(last.low)}  V ${whole.format(last.volume)}`;
  byId("chart").setAttribute("aria-label",
    `Candles of ${state.symbol}, ${state.interval}: last price ${money.format(last.close)}, this interval ${money.format(change)}`);
}

function showTable(candles) {
  if (!byId("candles").closest("details").open) return;
  fill(byId("candles"), candles.slice(-20).reverse().map((one) => [
    new Date(one.start).toISOString().slice(11, 16), ...[one.open, one.high, one.low, one.close].map(money.format),
    whole.format(one.volume), whole.format(one.count)]));
}

function showTape() {
  fill(byId("tape"), state.tape.map((one) => [
    one.timestamp.slice(11, 23), aggressor(one), whole.format(one.quantity)]));
}

/** The price, marked by the aggressor: buyer, seller, or unknown. */
function aggressor({ price, isAggressiveBuy }) {
  if (isAggressiveBuy === null) return money.format(price);
  return element("span", `${isAggressiveBuy ? "▲" : "▼"} ${money.format(price)}`, isAggressiveBuy ? "up" : "down");
}

function fill(table, rows) {
  table.tBodies[0].replaceChildren(...rows.map((cells) => {
    const tr = document.createElement("tr");
    for (const content of cells) tr.insertCell().append(content);
    return tr;
  }));
}

const seen = [];
async function look() {
  if (document.hidden) return;
  try {
    const live = (await (await fetch("api/live")).json()).trades;
    seen.push([performance.now(), live.received]);
    if (seen.length > 6) seen.shift();
    const [[t0, n0], [t1, n1]] = [seen[0], seen.at(-1)];
    byId("rate").textContent = !live.connected ? "–" : t1 > t0 ? whole.format((n1 - n0) / (t1 - t0) * 1000) : "…";
    byId("received").textContent = whole.format(live.received);
    const answer = await (await fetch("api/resources")).json();
    byId("ready").textContent = showResources(byId("resources"), answer);
    byId("resources-note").textContent = answer.problem ?? (answer.resources.length ? "" : "none yet");
  } catch {
    byId("resources-note").textContent = "The query server does not answer; trying again.";
  }
  loadSymbols();
}

byId("query").value = EXAMPLE;
byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = byId("answer");
  answer.hidden = false;
  try { answer.textContent = JSON.stringify(await ask(byId("query").value), null, 2); }
  catch (error) { answer.textContent = error.message; }
});
byId("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
});
addEventListener("resize", () => { state.dirty = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { state.dirty = true; });
byId("candles").closest("details").addEventListener("toggle", () => { state.dirty = true; });

choose(byId("intervals"), "interval", Object.keys(LENGTHS), "1m", (value) => { state.interval = value; watch(); });
look();
show();
setInterval(look, 2000);
setInterval(() => { if (!document.hidden) loadCandles(); }, 5000);
