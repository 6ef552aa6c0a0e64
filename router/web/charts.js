/* SPDX-License-Identifier: MIT */
"use strict";
/*
 * A chart: a dygraph with a legend of ours, since the library's own writes inline styles, which our content
 * security policy forbids. All charts show the same moments, so pointing at one points at all. Arrow keys move
 * the pointed moment.
 */
const Charts = (() => {
  Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
  const all = [];
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const clock = (ms, seconds) => new Date(ms).toLocaleTimeString([],
    { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hourCycle: "h23" });

  function make(tag, className, text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }

  /* Vertical lines where something changed, behind the curves. */
  function drawMarks(chart, context, area, graph) {
    for (const mark of chart.marks) {
      const x = Math.round(graph.toDomXCoord(mark.at * 1000)) + 0.5;
      if (x < area.x || x > area.x + area.w) continue;
      context.strokeStyle = context.fillStyle = style("--" + mark.tone);
      context.lineWidth = 1;
      context.setLineDash([3, 3]);
      context.beginPath();
      context.moveTo(x, area.y + 6);
      context.lineTo(x, area.y + area.h);
      context.stroke();
      context.setLineDash([]);
      context.beginPath();
      context.moveTo(x - 5, area.y);
      context.lineTo(x + 5, area.y);
      context.lineTo(x, area.y + 7);
      context.fill();
    }
  }

  /* What happened within two steps of the moment. */
  function markAt(chart, ms) {
    const near = chart.marks.filter((mark) => Math.abs(mark.at * 1000 - ms) <= 2 * chart.step * 1000);
    return near.map((mark) => `${mark.subject}: ${mark.text}`).join("; ");
  }

  function showMoment(chart, row) {
    const pointed = row !== null && chart.rows[row];
    const values = pointed || chart.rows[chart.rows.length - 1] || [];
    chart.when.textContent = pointed ? `${clock(+values[0], true)}  ${markAt(chart, +values[0])}` : "";
    chart.legend.forEach((entry, index) => {
      const value = values[index + 1];
      entry.value.textContent = value === null || value === undefined ? "–" : chart.format(value);
    });
  }

  function point(row) {
    for (const chart of all) {
      chart.pointed = row;
      if (row === null) chart.graph.clearSelection();
      else chart.graph.setSelection(row);
      showMoment(chart, row);
    }
  }

  function onKey(chart, event) {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -1e6, End: 1e6 }[event.key];
    const last = chart.rows.length - 1;
    if (event.key === "Escape") return point(null);
    if (!move || last < 0) return;
    event.preventDefault();
    point(Math.max(0, Math.min(last, (chart.pointed ?? last) + move)));
  }

  function theme(chart) {
    return {
      gridLineColor: style("--grid"), axisLineColor: style("--grid"),
      colors: chart.series.map((one) => style(`--series-${one.colour}`)),
      series: Object.fromEntries(chart.series.map((one) =>
        [one.name, { strokePattern: one.dashed ? [4, 3] : null, strokeWidth: one.dashed ? 1.2 : 1.8 }])),
      highlightCircleSize: 3, fillAlpha: 0.12,
    };
  }

  function create(figure, title, unit, format, options = {}) {
    const chart = { format, series: [], names: "", rows: [], marks: [], legend: [], pointed: null, step: 1 };
    const caption = figure.appendChild(make("figcaption", ""));
    caption.append(make("strong", "", title), " ", make("span", "quiet", unit));
    chart.when = caption.appendChild(make("span", "when"));
    const box = figure.appendChild(make("div", "plot"));
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${title}, ${unit}: arrow keys move through time`);
    chart.list = figure.appendChild(make("ul", "legend"));
    chart.graph = new Dygraph(box, [[new Date(), null]], {
      labels: ["(time)", ""], legend: "never", includeZero: true, animatedZooms: false, digitsAfterDecimal: 3,
      interactionModel: { mousemove: Dygraph.defaultInteractionModel.mousemove,
        mouseout: Dygraph.defaultInteractionModel.mouseout },
      axes: {
        x: { axisLabelFormatter: (date) => clock(+date, date.getSeconds() > 0), drawGrid: false,
          pixelsPerLabel: 105, axisLabelWidth: 70 },
        y: { axisLabelFormatter: (value) => format(value).replace(/\.0+(?= |$)/, ""), axisLabelWidth: 62,
          pixelsPerLabel: 38 },
      },
      xRangePad: 0, rightGap: 6, ...options,
      highlightCallback: (event, x, points, row) => point(row),
      unhighlightCallback: () => point(null),
      underlayCallback: (context, area, graph) => drawMarks(chart, context, area, graph),
      ...theme(chart),
    });
    box.addEventListener("keydown", (event) => onKey(chart, event));
    box.addEventListener("blur", () => point(null));
    all.push(chart);
    return chart;
  }

  function relabel(chart) {
    chart.legend = chart.series.map((one) => {
      const item = make("li", `series-${one.colour}${one.dashed ? " dashed" : ""}`);
      const value = make("b", "");
      item.append(make("span", "", one.name), value);
      return { item, value };
    });
    chart.list.replaceChildren(...chart.legend.map((entry) => entry.item));
    if (!chart.legend.length) chart.list.append(make("li", "none", "nothing in this time"));
  }

  /* @series: [{name, colour (1 to 8), dashed, values}]; @window: one of /api/v1/history; @span: seconds shown. */
  function update(chart, window, span, series, marks) {
    const names = series.map((one) => one.name);
    const known = JSON.stringify(series.map((one) => [one.name, one.colour]));
    const end = window.points ? window.end : Date.now() / 1000;
    const moment = (index) => new Date((end - (window.points - 1 - index) * window.step_s) * 1000);
    chart.series = series;
    if (known !== chart.names) relabel(chart);
    chart.names = known;
    chart.marks = marks;
    chart.step = window.step_s;
    chart.rows = Array.from({ length: window.points },
      (unused, index) => [moment(index), ...series.map((one) => one.values[index])]);
    const largest = Math.max(0, ...series.flatMap((one) => one.values));
    chart.graph.updateOptions({
      file: chart.rows.length && names.length ? chart.rows : [[new Date(end * 1000), null]],
      labels: ["(time)", ...(names.length ? names : [""])],
      dateWindow: [(end - span) * 1000, end * 1000],
      valueRange: [0, largest > 0 ? largest * 1.12 : 1], ...theme(chart),
    });
    showMoment(chart, chart.pointed);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
    () => all.forEach((chart) => chart.graph.updateOptions(theme(chart))));
  return { create, update };
})();
