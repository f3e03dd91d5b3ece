// What every page does beyond its HTML: shows moments in the browser's own time zone, names the cells of lists on
// narrow windows, sends a filter's form when a choice changes.
//
// A script that puts new HTML into the page sends the event "backstay:changed" from the element that holds it.

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function span(seconds) {
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["s", 1];
  const count = Math.floor(seconds / length);
  return unit === "s" ? `${count} s` : `${count} ${unit}${count === 1 ? "" : "s"}`;
}

function showAges(root) {
  for (const element of root.querySelectorAll("time.ago")) {
    const seconds = (Date.now() - new Date(element.dateTime)) / 1000;
    element.textContent = seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  }
}

function showMoments(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const shown = new Date(element.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    element.dataset.shown = "";
    if (element.classList.contains("ago")) {
      element.title = shown;
    } else {
      element.title = element.textContent;
      element.textContent = shown;
    }
  }
}

function nameCells(root) {
  for (const table of root.querySelectorAll("table.list:not(.standings)")) {
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((head) => head.textContent.trim());
    for (const cell of table.querySelectorAll("tbody td:not([data-label]):not([colspan])")) {
      cell.dataset.label = heads[cell.cellIndex] ?? "";
    }
  }
}

function dress(root) {
  showMoments(root);
  nameCells(root);
}

dress(document);
document.addEventListener("backstay:changed", (event) => dress(event.target));
setInterval(() => showAges(document), 30_000);

for (const form of document.querySelectorAll("form[data-sent-on-change]")) {
  form.addEventListener("change", () => form.requestSubmit());
}
