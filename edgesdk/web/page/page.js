"use strict";
// Shows what /events tells once or twice a second. Texts of others only ever become text nodes.

const LIVE_AT_MOST = 2; // a browser has six connections to a server: more pictures take turns
const QUIET = new Set(["frozen", "waiting", "failed", "silent", "connecting", "ended"]);
const at = (id) => document.getElementById(id);
const views = [];
let feed = null;
let heard = 0;
let over = false;
let round = 0;

if (location.search) history.replaceState(null, "", location.pathname);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function span(seconds) {
  const s = Math.max(Math.round(seconds), 0);
  const two = (n) => String(n).padStart(2, "0");
  if (s < 100) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)} h`;
  return `${Math.floor(s / 86400)} days`;
}

const ms = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const ago = (value) => (value >= 1000 ? span(value / 1000) : `${Math.round(value)} ms`);

function link(state, text) {
  at("link").dataset.state = state;
  at("link").textContent = text;
}

// Pictures ---------------------------------------------------------------------------------

class View {
  constructor(number) {
    this.number = number;
    this.run = 0; // counts up: an older loop of stills sees that it is over
    this.root = make("article");
    this.frame = make("div", "view empty");
    this.img = make("img");
    this.img.addEventListener("load", () => this.frame.classList.remove("empty"));
    this.note = make("p");
    this.frame.append(this.img, this.note);
    this.name = make("span", "name");
    this.state = make("span", "state");
    this.facts = make("p", "facts");
    this.totals = make("p", "facts totals");
    this.error = make("p", "error");
    const title = make("div", "title");
    title.append(this.name, this.state);
    const about = make("div", "about");
    about.append(title, this.totals, this.facts, this.error);
    this.root.append(this.frame, about);
  }

  show(stream, columns) {
    this.img.alt = `Live picture of ${stream.name}`;
    this.name.textContent = stream.name;
    this.state.className = `state ${stream.state}`;
    const since = QUIET.has(stream.state) ? ` for ${span(stream.since_s)}` : "";
    this.state.textContent = stream.state === "streaming" ? "streaming" : stream.state + since;
    const quiet = QUIET.has(stream.state);
    this.frame.classList.toggle("quiet", quiet);
    if (stream.size[0]) this.frame.style.aspectRatio = `${stream.size[0]} / ${stream.size[1]}`;
    this.note.hidden = !quiet && stream.last_s !== null;
    this.note.textContent = note(stream);
    this.facts.replaceChildren(...factsOf(stream));
    this.totals.replaceChildren(...columns.map((name) => figure(stream.totals[name] || 0, name)));
    this.error.hidden = !stream.error;
    this.error.textContent = stream.error ? `Last interruption: ${stream.error}` : "";
  }

  start(live) {
    this.stop();
    if (live) this.img.src = `stream/${this.number}.mjpg?${++round}`;
    else this.stills(this.run);
  }

  stop() {
    this.run += 1;
    if (this.img.src.includes("/stream/")) this.img.removeAttribute("src");
  }

  async stills(run) {
    let number = 0;
    while (run === this.run) {
      try {
        const answer = await fetch(`picture/${this.number}.jpg?after=${number}`);
        if (!answer.ok) throw new Error(answer.statusText);
        if (answer.status === 200) {
          number = answer.headers.get("x-picture-number");
          const before = this.img.src;
          const data = await answer.blob();
          if (run !== this.run) return;
          this.img.src = URL.createObjectURL(data);
          if (before.startsWith("blob:")) URL.revokeObjectURL(before);
        }
      } catch {
        await new Promise((done) => setTimeout(done, 2000));
      }
    }
  }
}

function note(stream) {
  if (stream.last_s === null) return "No picture yet";
  return `No picture for ${span(stream.last_s)}`;
}

function factsOf(stream) {
  const facts = [[stream.fps.toFixed(1), "fps"]];
  if (stream.age_ms.median !== undefined) {
    facts.push([ago(stream.age_ms.median), `old (p95 ${ago(stream.age_ms.p95)})`]);
  }
  facts.push([stream.processed.toLocaleString(), "frames"], [stream.dropped.toLocaleString(), "dropped"]);
  for (const name of ["lost", "corrupt", "reconnects"]) {
    if (stream[name]) facts.push([stream[name].toLocaleString(), name]);
  }
  return facts.map(([value, what]) => figure(value, what));
}

function figure(value, what) {
  const fact = make("span");
  fact.append(make("b", "", value.toLocaleString()), ` ${what}`);
  return fact;
}

function showStreams(streams, columns) {
  const grown = streams.length > views.length;
  while (views.length < streams.length) {
    views.push(new View(views.length));
    at("streams").append(views[views.length - 1].root);
  }
  at("streams").className = streams.length > 4 ? "many crowd" : streams.length > 1 ? "many" : "";
  // The counts of an only stream stand in the table.
  streams.forEach((stream, i) => views[i].show(stream, streams.length > 1 ? columns : []));
  if (grown) startPictures();
}

const startPictures = () => views.forEach((view) => view.start(views.length <= LIVE_AT_MOST));

// Figures ----------------------------------------------------------------------------------

function fill(id, head, rows) {
  const table = at(id);
  table.hidden = !rows.length;
  const lines = [head, ...rows].map((cells, i) => {
    const row = make("tr", cells.sum ? "sum" : "");
    row.append(...cells.map((cell) => (cell instanceof Node ? cell : make(i ? "td" : "th", "", cell))));
    return row;
  });
  table.replaceChildren(...lines);
  const none = at(`no-${id}`);
  if (none) none.hidden = rows.length > 0;
}

function showCounts({ columns, rows }) {
  const lines = rows.map(([name, values]) => [name, ...values.map((n) => n.toLocaleString())]);
  if (rows.length > 1) {
    const sums = columns.map((_, i) => rows.reduce((sum, [, values]) => sum + values[i], 0));
    lines.push(Object.assign(["all", ...sums.map((n) => n.toLocaleString())], { sum: true }));
  }
  fill("counts", ["", ...columns], lines);
}

function showStages(stages) {
  const longest = Math.max(...stages.filter((s) => s.name !== "total").map((s) => s.median), 0.001);
  fill("stages", ["ms", "median", "p95"], stages.map(({ name, median, p95 }) => {
    const first = make("td", "", name);
    if (name !== "total") {
      const bar = make("div", "bar");
      bar.style.width = `${Math.max((100 * median) / longest, 1)}%`;
      first.append(bar);
    }
    return Object.assign([first, ms(median), ms(p95)], { sum: name === "total" });
  }));
}

const UNITS = { ms: "ms", s: "s", kmh: "km/h", kg: "kg" };

// Names carry units: "speed_kmh" of 48 reads "speed 48 km/h". What says nothing is left out (no value,
// a line called "line"), and so are places in the picture, which the picture shows.
function facts(values) {
  const told = ([name, value]) => ![null, false, name].includes(value) && !name.endsWith("_px");
  return Object.entries(values).filter(told).map(([name, value]) => {
    const words = name.split("_");
    const unit = words.length > 1 ? UNITS[words[words.length - 1]] : undefined;
    if (unit || words[words.length - 1] === "id") words.pop();
    if (value === true) return words.join(" ");
    return `${words.join(" ")} ${value}${unit ? ` ${unit}` : ""}`;
  });
}

function showEvents(events, streams) {
  at("no-events").hidden = events.length > 0;
  at("events").hidden = !events.length;
  at("events").replaceChildren(...events.map((event) => {
    const line = make("li");
    const values = facts(event.values);
    if (streams.length > 1) values.unshift(streams[event.stream].name);
    const clock = `${Math.floor(event.at_s / 60)}:${(event.at_s % 60).toFixed(1).padStart(4, "0")}`;
    const words = make("div");
    words.append(make("b", "", event.what), " ", make("span", "", values.join(", ")));
    line.append(make("time", "", clock), words);
    return line;
  }));
}

function draw(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function spark(id, what, values, write) {
  const known = values.filter((value) => value !== null);
  const head = make("div");
  const box = draw("svg", { viewBox: "0 0 180 40", preserveAspectRatio: "none", role: "img" });
  box.append(draw("line", { x1: 0, x2: 180, y1: 40, y2: 40 }));
  if (known.length) {
    const top = Math.max(...known) || 1;
    const first = 180 - values.length;
    let path = "";
    values.forEach((value, i) => {
      const pen = i && values[i - 1] !== null ? "L" : "M";
      if (value !== null) path += `${pen}${first + i + 1} ${(39 - (37 * value) / top).toFixed(1)}`;
    });
    box.append(draw("path", { d: path }));
    const now = make("b", "", write(known[known.length - 1]));
    const left = make("span");
    left.append(now, ` ${what}`);
    head.append(left, make("span", "", `highest ${write(Math.max(...known))}`));
    box.setAttribute("aria-label", `${what}: now ${now.textContent}, highest ${write(Math.max(...known))}`);
  } else {
    head.append(make("span", "", `${what}: none yet`));
  }
  at(id).replaceChildren(head, box);
}

function showSinks(sinks) {
  const rows = sinks.flatMap(({ name, values }) =>
    Object.entries(values).map(([what, value]) => [`${name} ${what}`, value.toLocaleString()]));
  at("sinks-section").hidden = !rows.length;
  fill("sinks", ["", ""], rows);
}

function show(state) {
  heard = Date.now();
  document.title = `${state.app} · edgesdk`;
  at("app").textContent = state.app;
  link("live", `running for ${span(state.uptime_s)}`);
  showStreams(state.streams, state.counts.columns);
  showCounts(state.counts);
  showInspections(state.inspections, state.streams);
  showStages(state.stages);
  showEvents(state.events, state.streams);
  spark("fps", "frames a second", state.history.fps, (value) => String(Math.round(value)));
  spark("total", "ms a frame", state.history.total_ms, ms);
  showSinks(state.sinks);
}

// The feed ---------------------------------------------------------------------------------

function connect() {
  if (feed) feed.close();
  feed = new EventSource("events");
  feed.onopen = startPictures;
  feed.onmessage = (message) => {
    over = false;
    show(JSON.parse(message.data));
  };
  feed.addEventListener("end", () => {
    over = true;
    link("over", "the run has ended");
  });
  feed.onerror = () => {
    if (!over) link("lost", "no connection; trying again");
    if (feed.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}

async function poll() {
  // Some proxies hold a stream of events back: then the state is asked for.
  if (document.hidden || over || Date.now() - heard < 5000) return;
  try {
    const answer = await fetch("state");
    if (answer.ok) show(await answer.json());
  } catch {
    link("lost", "no connection; trying again");
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (feed) feed.close();
    views.forEach((view) => view.stop());
  } else {
    connect();
  }
});
setInterval(poll, 2000);
heard = Date.now();
connect();
