// The overview shows what has changed without being loaded again: the server says that something has, and the parts of
// the same page that show it are fetched and put in place. What a person is typing, or holds open, stays.

const PARTS = ["live", "live-list"];
const LEAST_PAUSE = 2000;
let due = false;
let busy = false;

async function refresh() {
  if (busy || document.hidden) {
    due = true;
    return;
  }
  busy = true;
  due = false;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    // Signed out meanwhile: the page shows that when it is loaded the next time.
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of PARTS) replace(document.getElementById(id), fresh.getElementById(id));
  } catch {
    // The server is away: the stream of events comes back when it does.
  } finally {
    setTimeout(() => {
      busy = false;
      if (due) refresh();
    }, LEAST_PAUSE);
  }
}

function replace(old, fresh) {
  if (!old || !fresh || old.contains(document.activeElement)) return;
  old.replaceChildren(...fresh.childNodes);
  old.dispatchEvent(new CustomEvent("backstay:changed", { bubbles: true }));
}

let first = true;
const events = new EventSource("/events?overview=0");
events.addEventListener("overview", () => {
  // The first one says how things are, which the page shows already.
  if (!first) refresh();
  first = false;
  document.documentElement.dataset.live = "";
});
document.addEventListener("visibilitychange", () => due && refresh());
