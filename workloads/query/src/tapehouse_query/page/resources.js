// The resources with their conditions, as status reports them.

const GOOD_WHEN_FALSE = new Set(["Degraded", "Drifted", "Stalled", "Progressing", "CommitStalled"]);

export function showResources(table, answer) {
  const rows = (answer.resources ?? []).map(row);
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = !rows.length;
  const ready = (answer.resources ?? []).filter((one) => statusOf(one) === "True").length;
  return answer.resources ? `${ready} of ${answer.resources.length}` : "–";
}

function row(resource) {
  const status = statusOf(resource);
  const tone = { True: "up", False: "down" }[status] ?? "wait";
  const text = { True: "Ready", False: "Not ready" }[status] ?? "Waiting";
  const tr = document.createElement("tr");
  tr.append(cell(resource.kind), cell(resource.name), cell(element("span", text, `state ${tone}`)));
  tr.append(cell(chips(resource.conditions, status)));
  return tr;
}

function chips(conditions, ready) {
  const box = element("div", "", "chips");
  for (const one of conditions) {
    if (one.type === "Ready") continue;
    const good = GOOD_WHEN_FALSE.has(one.type) ? one.status === "False" : one.status === "True";
    const value = one.status === "True" ? one.type : `${one.type}: ${one.status}`;
    const chip = element("span", value, good ? "" : "wait");
    if (one.reason) chip.title = `${one.reason} ${one.message ?? ""}`.trim();
    if (!GOOD_WHEN_FALSE.has(one.type) || one.status !== "False") box.append(chip);
  }
  const why = conditions.find((one) => one.type === "Ready" && one.message);
  if (ready !== "True" && why) box.append(element("span", `${why.reason}: ${why.message}`, "why"));
  return box;
}

function statusOf(resource) {
  return resource.conditions.find((one) => one.type === "Ready")?.status ?? "Unknown";
}

function cell(content) {
  const td = document.createElement("td");
  td.append(content);
  return td;
}

export function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
