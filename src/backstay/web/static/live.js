// Keeps progress up to date: an element with data-live="backup:12" or "task:3" shows what the server sends of it.
//
// In it, data-text="stage" names the text that an element shows, a <progress> its percentage, and data-state its state.
// What has ended is loaded anew, unless somebody is writing on the page: then a link is offered. Texts are only ever
// text: nothing here makes HTML of what was sent. An element with data-live="running:0" gets the event
// "backstay:running" with the backups and tasks that have not ended.

const AGAIN_MILLISECONDS = 15_000;
const SAY_MILLISECONDS = 10_000;

const subjects = new Map();
for (const element of document.querySelectorAll("[data-live]")) {
  const key = element.dataset.live;
  subjects.set(key, [...(subjects.get(key) ?? []), element]);
}
const left = new Set(subjects.keys());
const said = new WeakMap();
let source = null;
let leaving = false;

function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function show(element, news) {
  for (const place of element.querySelectorAll("[data-text]")) {
    setText(place, news.texts[place.dataset.text] ?? "");
  }
  for (const bar of element.querySelectorAll("progress")) {
    if (news.percent === null) {
      bar.removeAttribute("value");
    } else {
      bar.max = 100;
      bar.value = news.percent;
    }
  }
  for (const word of element.querySelectorAll("[data-state]")) {
    word.className = `state ${news.colour}`;
    setText(word, news.texts.state ?? news.state);
  }
  for (const part of element.querySelectorAll("[data-while]")) {
    part.hidden = part.dataset.while !== news.state;
  }
  announce(element, news);
}

// Read aloud seldom: a number that changes twice a second is noise to who listens.
function announce(element, news) {
  const place = element.querySelector("[aria-live]");
  if (!place) {
    return;
  }
  const before = said.get(element) ?? { stage: "", at: 0 };
  const now = Date.now();
  if (before.stage !== news.texts.stage || now - before.at > SAY_MILLISECONDS) {
    said.set(element, { stage: news.texts.stage, at: now });
    setText(place, [news.texts.stage, news.texts.percent].filter(Boolean).join(", "));
  }
}

function isBeingWritten() {
  return [...document.querySelectorAll("textarea, input:not([type=hidden], [type=search])")].some(
    (field) => field === document.activeElement || field.value !== field.defaultValue,
  );
}

function loadAnew(element) {
  if (leaving) {
    // A link was followed: loading this page anew would take that back. Where it was a download, the page stays.
    setTimeout(() => loadAnew(element), AGAIN_MILLISECONDS);
    return;
  }
  if (!isBeingWritten()) {
    location.reload();
    return;
  }
  const notice = document.createElement("p");
  const link = document.createElement("a");
  notice.className = "notice";
  notice.setAttribute("role", "status");
  link.href = location.href;
  link.textContent = "It has ended: load this page anew.";
  notice.append(link);
  element.before(notice);
}

function hear(kind, text) {
  const news = JSON.parse(text);
  if (kind === "running") {
    for (const element of subjects.get("running:0") ?? []) {
      element.dispatchEvent(new CustomEvent("backstay:running", { detail: news, bubbles: true }));
    }
    return;
  }
  const key = `${kind}:${news.id}`;
  for (const element of subjects.get(key) ?? []) {
    show(element, news);
  }
  if (news.over && left.delete(key)) {
    if (left.size === 0) {
      source.close();
    }
    loadAnew(subjects.get(key)[0]);
  }
}

function open() {
  if (left.size === 0) {
    return;
  }
  const query = [...left].map((key) => key.replace(":", "=")).join("&");
  source = new EventSource(`/events?${query}`);
  for (const kind of ["backup", "task", "running"]) {
    source.addEventListener(kind, (event) => hear(kind, event.data));
  }
  // The browser connects again by itself, unless the server refused: then later, or to the form for signing in.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(open, AGAIN_MILLISECONDS);
    }
  });
}

open();
addEventListener("beforeunload", () => {
  leaving = true;
  setTimeout(() => (leaving = false), AGAIN_MILLISECONDS / 2);
});
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && open());
