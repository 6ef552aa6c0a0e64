/* SPDX-License-Identifier: MIT */
"use strict";
/*
 * Every two seconds the JSON documents that clusterctl reads too are fetched and written into the page. Nodes
 * are kept from one time to the next and only their text changes, so that nothing jumps, and focus and open
 * lists stay.
 */
const EVERY_MS = 2000, TIMEOUT_MS = 5000, HOUR_EVERY = 5;
const SPANS_S = [300, 3600];

const state = { paused: false, last: 0, failed: false, stats: null, before: null, history: null, span: 0, turn: 0 };
const $ = (id) => document.getElementById(id);

/* --- words and numbers --- */

const count = (value) => value.toLocaleString("en");
const rate = (value) => (value > 0 && value < 9.95 ? value.toFixed(1) : count(Math.round(value)));
const sum = (list, key) => list.reduce((total, item) => total + item[key], 0);

function hop(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : us < 1e5 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const ago = (seconds) => (seconds < 2 ? "just now" : `${duration(seconds)} ago`);
const moment = (unix) => new Date(unix * 1000).toLocaleTimeString([], { hourCycle: "h23" });

/* --- nodes --- */

function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

function node(tag, className = "", ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

const TONES = {
  up: "good", running: "good", ok: "good", ready: "good", usable: "good", open: "good",
  down: "bad", lost: "bad", "not ready": "bad", "not reachable": "bad", dead: "bad",
  drained: "warning", parking: "warning", unparking: "warning", connecting: "warning", waiting: "warning",
  blocked: "warning", paused: "warning",
};

function setPill(pill, word) {
  setText(pill, word);
  pill.className = `pill ${TONES[word] || "info"}`;
}

/*
 * Makes the children of @parent those of @items, in that order: kept where the key is known, made by @make
 * where not; @fill writes the item into its node.
 */
function keep(parent, items, keyOf, make, fill) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const child = known.get(key) || make(item);
    child.dataset.key = key;
    known.delete(key);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] || null);
    fill(child, item);
  });
  for (const left of known.values()) left.remove();
}

/* The rows of a table; @cells(item): [text or {pill} or {text, note, tone}], one per column. */
function fillTable(id, items, keyOf, cells) {
  const heads = [...$(id).querySelectorAll("thead th")];
  const make = () => node("tr", "", ...heads.map((head, index) => {
    const cell = node(index === 0 ? "th" : "td", head.className);
    if (index === 0) cell.scope = "row";
    cell.dataset.label = head.textContent;
    cell.append(node("span"), node("small", "quiet"));
    return cell;
  }));
  keep($(id).tBodies[0], items, keyOf, make, (row, item) => cells(item).forEach((value, index) => {
    const [main, note] = row.cells[index].children;
    if (value.pill) setPill(main, value.pill);
    else setText(main, value.text ?? value);
    if (value.tone !== undefined) main.className = value.tone;
    setText(note, value.note || "");
  }));
}

/* --- parts of the page --- */

/* Per second between the last two answers; NaN at first. */
function rates(now, before) {
  const elapsed = before ? now.uptime_s - before.uptime_s : 0;
  return (path) => {
    const from = elapsed > 0 ? path(before) : undefined, to = path(now);
    return from === undefined || to === undefined ? NaN : Math.max(0, to - from) / elapsed;
  };
}

const shownRate = (value) => (Number.isNaN(value) ? "–" : rate(value));
const routeOf = (stats, name) => stats.routes.find((route) => route.route === name);
const toneIf = (value, tone) => (value > 0 ? tone : "");

function deliveredTo(stats, cluster) {
  return stats.routes.flatMap((route) => route.clusters).filter((row) => row.cluster === cluster)
    .reduce((total, row) => total + row.delivered, 0);
}

function showTile(name, text, note, tone = "") {
  setText($(`tile-${name}`), text);
  $(`tile-${name}`).className = tone;
  if (note !== undefined) setText($(`tile-${name}-note`), note);
}

function showTiles(data, perSecond) {
  const routes = data.stats.routes, total = (key) => sum(routes, key);
  const parked = total("parked_in_queue"), dead = total("dead"), view = data.status.view;
  const hosts = sum(data.clusters.clusters, "hosts_total");
  showTile("in", `${shownRate(perSecond((stats) => sum(stats.routes, "in")))} /s`, `${count(total("in"))} in total`);
  showTile("delivered", `${shownRate(perSecond((stats) => sum(stats.routes, "delivered")))} /s`,
    `${count(total("delivered"))} in total`);
  showTile("in_flight", count(total("in_flight")));
  showTile("parked", count(parked), undefined, toneIf(parked, "warning-text"));
  showTile("dead", count(dead), `${count(total("expired"))} expired`, toneIf(dead, "bad-text"));
  showTile("clusters", `${view.usable} of ${view.clusters}`, view.usable < view.clusters ? "see below" : "all",
    view.usable < view.clusters ? "bad-text" : "");
  showTile("hosts", `${view.usable_hosts} of ${hosts}`, `looked ${ago(view.age_s)}`,
    view.usable_hosts < hosts ? "warning-text" : "");
}

/* The newest value of a series over 10 s; null if there is none. */
function latest(owner, name, measure) {
  const found = state.history.windows[1].series.find((one) => one[owner] === name && one.measure === measure);
  return found ? found.values[found.values.length - 1] : null;
}

function showRoutes(data, perSecond) {
  const queues = new Map(data.routes.routes.map((route) => [route.route, route]));
  fillTable("routes", data.stats.routes, (route) => route.route, (route) => [
    { text: route.route, note: queues.get(route.route)?.queue ?? "not in the configuration" },
    { pill: route.state, note: route.error },
    count(route.in),
    shownRate(perSecond((stats) => routeOf(stats, route.route)?.in)),
    count(route.delivered), count(route.in_flight),
    { text: count(route.parked_in_queue), tone: toneIf(route.parked_in_queue, "warning-text") },
    { text: count(route.dead), tone: toneIf(route.dead, "bad-text") },
    hop(latest("route", route.route, "hop_p50")), hop(latest("route", route.route, "hop_p99")),
    route.last_progress_age_s === null ? "none yet" : ago(route.last_progress_age_s),
  ]);
}

const hostWord = (host) => (host.usable ? "usable" : host.drained ? "drained" : host.alive ? "alive" : "down");

function makeCluster() {
  const card = node("article", "card cluster");
  const head = node("div", "heading", node("h3"), node("span", "pill"));
  head.firstChild.append(node("span", "swatch"), node("span"));
  const numbers = node("dl", "numbers");
  for (const label of ["Delivered /s", "Delivered", "Parked"])
    numbers.append(node("div", "", node("dt", "", label), node("dd")));
  const details = node("details", "", node("summary", "", "Hosts"), node("ul", "hosts"));
  details.open = true;
  card.append(head, node("p", "quiet reason"), numbers, details);
  return card;
}

function fillHost(item, host) {
  if (!item.children.length) item.append(node("span", "host"), node("span"), node("span", "quiet n"));
  setText(item.children[0], host.host);
  setPill(item.children[1], hostWord(host));
  setText(item.children[2], `for ${duration(host.since_s)}`);
}

function fillCluster(card, cluster, data, perSecond) {
  const [head, reason, numbers, details] = card.children;
  const parked = sum(cluster.routes, "parked_in_queue");
  const flows = cluster.routes.filter((row) => row.flow !== "open").map((row) => `${row.route} ${row.flow}`);
  head.firstChild.firstChild.className = `swatch series-${colourOf(clusterNames(), cluster.cluster)}`;
  setText(head.firstChild.lastChild, cluster.cluster || "no cluster");
  setPill(head.children[1], cluster.state);
  const usable = cluster.hosts_total > 0 ? `${cluster.usable} of ${cluster.hosts_total} hosts usable` : "";
  const broker = cluster.broker_state ? `own broker ${cluster.broker_state} for ${duration(cluster.broker_state_age_s)}` : "";
  setText(reason, [usable, cluster.state === "down" ? "" : cluster.reason, broker, ...flows].filter(Boolean).join("; "));
  const fine = cluster.usable >= cluster.hosts_total && ["connected", "connecting"].includes(cluster.broker_state ?? "connected");
  reason.className = `reason ${fine ? "quiet" : "warning-text"}`;
  const values = [shownRate(perSecond((stats) => deliveredTo(stats, cluster.cluster))),
    count(deliveredTo(data.stats, cluster.cluster)), count(parked)];
  [...numbers.querySelectorAll("dd")].forEach((value, index) => setText(value, values[index]));
  numbers.querySelectorAll("dd")[2].className = toneIf(parked, "warning-text");
  details.hidden = cluster.hosts_total === 0 && !cluster.hosts.length;
  keep(details.children[1], cluster.hosts, (host) => host.host, () => node("li"), fillHost);
}

/* What reached no one cluster's queue has rows of its own in the statistics; here they make one card. */
function withNone(data) {
  const rows = data.stats.routes.flatMap((route) => route.clusters.filter((row) => row.cluster === "")
    .map((row) => ({ route: route.route, flow: row.flow, parked_in_queue: row.parked_in_queue })));
  const none = { cluster: "", state: "common", reason: "messages that name no cluster", usable: 0, hosts_total: 0,
    hosts: [], routes: rows };
  return rows.length ? [...data.clusters.clusters, none] : data.clusters.clusters;
}

function showClusters(data, perSecond) {
  keep($("clusters"), withNone(data), (cluster) => cluster.cluster, makeCluster,
    (card, cluster) => fillCluster(card, cluster, data, perSecond));
  $("clusters-empty").hidden = data.clusters.clusters.length > 0;
}

function showParked(data) {
  const rows = data.stats.routes.flatMap((route) => route.clusters.map((row) => ({ route: route.route, ...row })))
    .filter((row) => row.parked_in_queue > 0 || row.flow !== "open");
  fillTable("parked", rows, (row) => `${row.route} ${row.cluster}`, (row) => [
    row.route, row.cluster || "none", { pill: row.flow },
    { text: count(row.parked_in_queue), tone: toneIf(row.parked_in_queue, "warning-text") },
    count(row.parked), count(row.unparked)]);
  $("parked").hidden = rows.length === 0;
  $("parked-empty").hidden = rows.length > 0;
}

function showReasons(data) {
  const rows = data.stats.routes.flatMap((route) => Object.entries(route.reasons)
    .filter(([, messages]) => messages > 0).map(([code, messages]) => ({ route: route.route, code, messages })));
  fillTable("reasons", rows, (row) => `${row.route} ${row.code}`, (row) => [
    { text: row.code, note: state.history.reasons[row.code] }, row.route, count(row.messages)]);
  $("reasons").hidden = rows.length === 0;
  $("reasons-empty").hidden = rows.length > 0;
}

function showChanges() {
  const fill = (item, change) => {
    if (item.children.length) return;
    item.append(node("time", "", moment(change.at)), node("span", `dot ${change.tone}`),
      node("span", "", node("b", "", change.subject), ` ${change.text}`));
    item.firstChild.dateTime = new Date(change.at * 1000).toISOString();
    item.firstChild.title = new Date(change.at * 1000).toLocaleString();
  };
  keep($("changes"), [...state.history.changes].reverse(), (change) => String(change.number), () => node("li"), fill);
}

function showRouter(status) {
  const source = (one) => (one.state === "off" ? "not used" : one.state === "ok" ? "ok"
    : `${one.state}${one.error ? `: ${one.error}` : ""}`);
  const reload = status.config.reload;
  const view = `number ${status.view.generation}, ${duration(status.view.age_s)} old`;
  const rows = [
    ["Build", status.build], ["Process", `${status.pid}, up ${duration(status.uptime_s)}`],
    ["Configuration", `${status.config.path ?? "–"}`], ["Fingerprint", status.config.fingerprint?.slice(0, 16) ?? "–"],
    ["Last reload", reload.at ? `${reload.ok ? "ok" : `refused: ${reload.error}`}, ${moment(reload.at)}` : "never"],
    ["redis", source(status.redis)], ["MySQL", source(status.mysql)],
    ["View", status.view.frozen ? `${view}, held` : view],
  ];
  keep($("router"), rows, (row) => row[0], (row) => node("div", "", node("dt", "", row[0]), node("dd")),
    (item, row) => setText(item.children[1], row[1]));
  setText($("about"), `version ${status.version} · up ${duration(status.uptime_s)}`);
}

/* --- charts --- */

const charts = {
  rate: Charts.create($("chart-rate"), "Delivered", "messages per second, by cluster", rate, { fillGraph: true }),
  hop: Charts.create($("chart-hop"), "Hop time", "from delivery to our acknowledgement", hop),
  parked: Charts.create($("chart-parked"), "Parked", "messages waiting, by cluster", count, { fillGraph: true }),
};

/* A cluster, and a route, has one colour wherever it is drawn. */
const colourOf = (list, name) => (Math.max(0, list.indexOf(name)) % 8) + 1;
const clusterNames = () =>
  [...new Set(state.stats.routes.flatMap((route) => route.clusters.map((row) => row.cluster)))].sort();
const routeNames = () => state.stats.routes.map((route) => route.route);

function showCharts() {
  const shown = state.history.windows[state.span], span = SPANS_S[state.span];
  const clusters = clusterNames(), routes = routeNames(), marks = state.history.changes;
  const byCluster = (measure) => shown.series
    .filter((one) => one.cluster !== undefined && one.measure === measure)
    .map((one) => ({ name: one.cluster || "no cluster", colour: colourOf(clusters, one.cluster), values: one.values }));
  const hops = shown.series.filter((one) => one.measure.startsWith("hop_"))
    .map((one) => ({ name: `${one.route} ${one.measure.slice(4)}`, colour: colourOf(routes, one.route),
      dashed: one.measure === "hop_p50", values: one.values }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  Charts.update(charts.rate, shown, span, byCluster("delivered"), marks);
  Charts.update(charts.hop, shown, span, hops, marks);
  Charts.update(charts.parked, shown, span, byCluster("parked"), marks);
  setText($("left-out"), shown.left_out ? `${shown.left_out} more series are not recorded.` : "");
}

/* --- the loop --- */

function alertsOf(data) {
  const { status, ready } = data, reload = status.config.reload;
  return [
    ...ready.missing,
    status.redis.state === "lost"
      && `redis: ${status.redis.error}; the last view, ${duration(status.view.age_s)} old, stays in force`,
    status.mysql.state === "lost" && `MySQL: ${status.mysql.error}; the last list of clusters stays in force`,
    status.view.frozen && "too many hosts died at once: the last view stays in force",
    !reload.ok && `reload refused, the old configuration stays in force: ${reload.error}`,
  ].filter(Boolean);
}

/* The age changes each second: it is shown, but not read out each time. */
function showAlerts(alerts, age = "") {
  const make = (text) => node("li", "", node("span", "", text), node("span"));
  keep($("alerts"), alerts, (text) => text, make, (item) => {
    item.lastChild.ariaHidden = "true";
    setText(item.lastChild, age);
  });
}

function show(data) {
  const perSecond = rates(data.stats, state.before);
  showTiles(data, perSecond);
  showRoutes(data, perSecond);
  showClusters(data, perSecond);
  showParked(data);
  showReasons(data);
  showRouter(data.status);
  showChanges();
  showCharts();
  showAlerts(alertsOf(data));
  setPill($("state"), data.ready.ready ? "ready" : "not ready");
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok && path !== "readyz") throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function refresh() {
  const paths = { stats: "api/v1/stats", status: "api/v1/status", clusters: "api/v1/clusters",
    routes: "api/v1/routes", ready: "readyz" };
  /* an hour in steps of 10 s need not be asked for every 2 s */
  if (!state.history || state.span === 0 || state.turn++ % HOUR_EVERY === 0) paths.history = "api/v1/history";
  const documents = await Promise.all(Object.values(paths).map(get));
  const data = Object.fromEntries(Object.keys(paths).map((key, index) => [key, documents[index]]));
  state.history = data.history || state.history;
  /* a restarted router counts from 0 */
  state.before = state.stats && state.stats.uptime_s <= data.stats.uptime_s ? state.stats : null;
  state.stats = data.stats;
  state.last = Date.now();
  state.failed = false;
  show(data);
}

function tellFreshness() {
  const age = Math.max(0, Math.round((Date.now() - state.last) / 1000));
  const known = state.last > 0;
  document.body.classList.toggle("stale", state.failed);
  setText($("freshness"), !known ? "no data yet" : state.paused ? `paused, data of ${age} s ago`
    : age <= 3 ? "live" : `data of ${age} s ago`);
  if (!state.failed) return;
  setPill($("state"), "not reachable");
  showAlerts(["router not reachable"], known ? `, last data ${age} s ago` : "");
}

async function loop() {
  if (!state.paused && !document.hidden) {
    try {
      await refresh();
    } catch (error) {
      console.warn(error);
      state.failed = true;
    }
    document.body.dataset.loaded = state.last;
  }
  tellFreshness();
  setTimeout(loop, EVERY_MS);
}

function togglePause() {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", state.paused);
  setText($("pause"), state.paused ? "Resume" : "Pause");
  tellFreshness();
}

$("pause").addEventListener("click", togglePause);
document.addEventListener("keydown", (event) => {
  if (event.key === "p" && !event.ctrlKey && !event.metaKey && !event.altKey) togglePause();
});
$("span").addEventListener("change", (event) => {
  state.span = Number(event.target.value);
  if (state.history) showCharts();
});
setInterval(tellFreshness, 1000);
loop();
