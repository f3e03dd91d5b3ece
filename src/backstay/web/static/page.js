// What every page does beyond its HTML: shows moments in the browser's own time zone.

for (const element of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(element.dateTime);
  const shown = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  if (element.title) {
    element.title = shown;
  } else {
    element.title = element.textContent;
    element.textContent = shown;
  }
}
