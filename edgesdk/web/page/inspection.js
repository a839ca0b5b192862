"use strict";
// Control charts of an inspection line: the share of rejects and the median score, group by group.

const CHART = { width: 180, height: 56, pad: 4 };

function percent(share) {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

const scoreOf = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

function scaleOf(values, limits) {
  const all = values.filter((value) => value !== null).concat(limits || []);
  const low = Math.min(...all);
  const high = Math.max(...all);
  const room = CHART.height - 2 * CHART.pad;
  return (value) => CHART.height - CHART.pad - (room * (value - low)) / (high - low || 1);
}

function controlChart({ name, values, limits, alarm }, { group, baseline, parts }) {
  const write = name === "reject rate" ? percent : scoreOf;
  const root = make("div", alarm ? "chart alarm" : "chart");
  const known = values.filter((value) => value !== null);
  const head = make("div");
  if (!known.length) {
    head.append(make("span", "", `${name}: the first ${group} parts are not complete`));
    root.append(head);
    return root;
  }
  const left = make("span");
  left.append(make("b", "", write(known[known.length - 1])), ` ${name}`);
  const usual = limits ? `usual ${write(limits[0])} to ${write(limits[2])}`
    : `learning what is usual: ${parts.toLocaleString()} of ${(group * baseline).toLocaleString()} parts`;
  head.append(left, make("span", "", usual));
  const box = draw("svg", {
    viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: "none", role: "img",
    "aria-label": `${name}: now ${write(known[known.length - 1])}, ${usual}`,
  });
  const y = scaleOf(values, limits);
  const step = CHART.width / Math.max(values.length - 1, 30);
  (limits || []).forEach((limit, i) => {
    const at = y(limit).toFixed(1);
    box.append(draw("line", { x1: 0, x2: CHART.width, y1: at, y2: at, class: i === 1 ? "" : "limit" }));
  });
  let path = "";
  let dots = "";
  values.forEach((value, i) => {
    if (value === null) return;
    const place = `${(i * step).toFixed(1)} ${y(value).toFixed(1)}`;
    path += `${i && values[i - 1] !== null ? "L" : "M"}${place}`;
    if (limits && (value < limits[0] || value > limits[2])) dots += `M${place}h.01`;
  });
  box.append(draw("path", { d: known.length > 1 ? path : `${path}h.01`, class: known.length > 1 ? "" : "single" }));
  if (dots) box.append(draw("path", { d: dots, class: "beyond" }));
  root.append(head, box);
  if (alarm) root.append(make("p", "", `${alarm[0].toUpperCase()}${alarm.slice(1)}.`));
  return root;
}

function showInspections(inspections, streams) {
  at("inspection-section").hidden = !inspections.length;
  at("inspections").replaceChildren(...inspections.map((one) => {
    const root = make("div", "inspection");
    const facts = make("p", "facts");
    const told = [[one.parts, "parts"], [one.rejects, "rejected"], [one.late, "late"]];
    facts.append(...told.map(([value, what]) => figure(value, what)));
    if (streams.length > 1) root.append(make("h3", "", streams[one.stream].name));
    root.append(facts, ...one.charts.map((chart) => controlChart(chart, one)));
    return root;
  }));
}
