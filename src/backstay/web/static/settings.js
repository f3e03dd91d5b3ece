// The form of settings: filters it while its search is typed, and says how much was changed.

const search = document.querySelector("#q");
const settings = [...document.querySelectorAll(".setting")];

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const setting of settings) {
    const text = setting.dataset.search.toLowerCase();
    setting.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = !group.querySelector(".setting:not([hidden])");
  }
}

if (search && settings.length) {
  search.addEventListener("input", filter);
}

const form = document.querySelector("form.settings");
const counter = document.querySelector("#changed");
if (form && counter) {
  const state = () => new Map([...form.elements].filter((one) => one.name).map((one) => [one, one.type === "checkbox" ? one.checked : one.value]));
  const before = state();
  const show = () => {
    const changed = [...state()].filter(([one, value]) => before.get(one) !== value).length;
    counter.textContent = changed ? `Not saved yet: ${changed} changed` : "";
  };
  form.addEventListener("input", show);
  form.addEventListener("change", show);
}

// A page that waits for something to be counted asks again.
const waiting = document.querySelector("[data-reload]");
if (waiting) {
  setTimeout(() => location.reload(), Number(waiting.dataset.reload));
}

// The next runs of a schedule, while its times are typed.
const runs = document.querySelector("#runs");
if (runs) {
  const times = document.querySelector("form.schedule");
  const fields = ["profile", "at", "time_zone", "spread"];
  let asked = 0;
  let timer;
  const show = async () => {
    const number = ++asked;
    const query = new URLSearchParams(fields.map((name) => [name, times.elements[name]?.value ?? ""]));
    const answer = await fetch(`/schedules/preview?${query}`);
    if (number !== asked || !answer.ok) {
      return;
    }
    const found = await answer.json();
    document.querySelector("#refusal").textContent = found.problem;
    runs.replaceChildren(...found.runs.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
  };
  times.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, 250);
  });
}
