// The hub's pages work without this script. With it: the theme button, a form that greys what does not fit, a summary and
// a link to copy, progress while a server starts, and buttons that stop servers.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // JupyterHub's own key, so that its own pages agree
  const KEY = "jupyterhub-bs-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const paint = () => {
    const theme = stored();
    root.dataset.bsTheme = theme === "dark" || theme === "light" ? theme : dark.matches ? "dark" : "light";
  };
  paint();
  dark.addEventListener("change", paint);

  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  const $ = (selector, inside = document) => inside.querySelector(selector);
  const $$ = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  function theme() {
    const button = $("#af-theme");
    if (!button) return;
    button.hidden = false;
    const say = () => {
      button.setAttribute("aria-label", root.dataset.bsTheme === "dark" ? "Light mode" : "Dark mode");
      button.title = button.getAttribute("aria-label");
    };
    say();
    button.addEventListener("click", () => {
      const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
      try { localStorage.setItem(KEY, next); } catch { /* it then lasts for this page only */ }
      root.dataset.bsTheme = next;
      say();
    });
  }

  // ---- the form ----
  const LISTED = ["pool", "image", "size"];
  const titleOf = (input) => input.labels[0].textContent.trim();
  const takes = (one, field, other) => {
    const only = LISTED.includes(field) ? one.dataset[field] : undefined;
    return only === undefined || (other.dataset.names ?? other.value).split(" ").some((name) => only.split(" ").includes(name));
  };
  const radios = (field) => $$(".af-tile > input[type=radio]", field);
  const legend = (field) => $("legend", field).textContent.trim();

  function clash(input, field, picked) {
    const found = picked.find((each) => !takes(input, each.field, each.input) || !takes(each.input, field, input));
    return found ? found.input : null;
  }

  function show(input, other) {
    const tile = input.parentElement;
    $(".af-clash", tile)?.remove();
    tile.classList.toggle("af-off", Boolean(other));
    if (other) tile.append(make("p", `Not offered with ${titleOf(other)}.`, "af-lines af-why af-clash"));
  }

  // the later field gives way to the earlier one, in the order in which the facility fills what is left open
  function settle(card, switching) {
    const picked = [];
    const changed = [];
    for (const field of $$(".af-field", card)) {
      const name = field.dataset.field;
      const open = radios(field).filter((input) => !input.dataset.never);
      const against = new Map(open.map((input) => [input, clash(input, name, picked)]));
      let chosen = open.find((input) => input.checked);
      if (chosen && against.get(chosen) && switching) {
        const fitting = open.filter((input) => !against.get(input) && input.value !== ":typed");
        const next = fitting.find((input) => input.defaultChecked) ?? fitting[0];
        if (next) {
          changed.push(`${legend(field)} is now ${titleOf(next)}: ${titleOf(chosen)} is not offered with ${titleOf(against.get(chosen))}.`);
          next.checked = true;
          chosen = next;
        }
      }
      for (const [input, other] of against) {
        show(input, other);
        input.disabled = Boolean(other) && input !== chosen;
        if (typedText(input)) typedText(input).disabled = input.disabled;
      }
      field.hidden = !LISTED.includes(name) && open.length > 0 && open.every((input) => against.get(input));
      if (chosen && !field.hidden) picked.push({ field: name, title: legend(field), input: chosen });
    }
    return { picked, changed };
  }

  const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  function duration(seconds) {
    const [length, unit] = UNITS.find(([size, name]) => seconds % size === 0 && (name !== "day" || seconds >= 2 * size));
    const count = seconds / length;
    return `${count} ${unit}${count === 1 ? "" : "s"}`;
  }
  function lifetime(elements) {
    const least = (key) => Math.min(...elements.filter((each) => each.dataset[key]).map((each) => Number(each.dataset[key])));
    const [idle, most] = [least("idle"), least("most")];
    if (idle === Infinity) return most === Infinity ? "" : `after ${duration(most)}`;
    return `after ${duration(idle)} idle${most === Infinity ? "" : `, ${duration(most)} at most`}`;
  }
  const typedText = (input) => $(".af-typed input", input.parentElement);
  const said = (input) => typedText(input)?.value.trim() || titleOf(input);

  function form() {
    const box = $(".af-form");
    const start = $("#af-start");
    if (!box || !start) return;
    for (const input of radios(box)) if (input.disabled) input.dataset.never = "1";
    const chosenCard = () => $(".af-head > input:checked", box)?.closest(".af-card");
    let now = [];

    const refresh = (switching) => {
      const card = chosenCard();
      if (!card) return;
      const { picked, changed } = settle(card, switching);
      now = picked;
      for (const text of $$(".af-typed input", box)) text.required = card.contains(text) && $("input[type=radio]", text.closest(".af-tile")).checked;
      const rows = [["Profile", titleOf($(".af-head > input", card))], ...picked.map((each) => [each.title, said(each.input)])];
      const stops = lifetime([card, ...picked.map((each) => each.input)]);
      if (stops) rows.push(["Ends", stops]);
      const summary = $("#af-summary");
      summary.replaceChildren(...rows.map(([title, text]) => {
        const row = make("div", "", title === "Ends" ? "af-stops" : "");
        row.append(make("dt", title), make("dd", text));
        return row;
      }));
      summary.hidden = false;
      $("#af-changed").textContent = changed.join(" ");
      $("#af-copied").textContent = "";
    };

    box.addEventListener("input", (event) => {
      const tile = event.target.closest(".af-typed")?.closest(".af-tile");
      if (tile) $("input[type=radio]", tile).checked = true;
      if (event.target.id !== "af-find") refresh(true);
    });
    box.closest("form").addEventListener("submit", () => {
      for (const text of $$(".af-typed input", box)) text.disabled = !$("input[type=radio]", text.closest(".af-tile")).checked;
      start.textContent = "Starting …";
      setTimeout(() => { start.disabled = true; });
    });
    addEventListener("pageshow", () => {
      start.disabled = false;
      start.textContent = "Start";
      refresh(false);
    });

    const copy = $("#af-copy");
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const link = new URL(`${document.body.dataset.baseUrl}spawn`, location.href);
      link.searchParams.set("profile", $(".af-head > input", chosenCard()).value);
      for (const each of now) link.searchParams.set(each.field, typedText(each.input)?.value.trim() ?? each.input.value);
      const next = new URLSearchParams(location.search).get("next");
      if (next) link.searchParams.set("next", next);
      try {
        await navigator.clipboard.writeText(link.href);
        $("#af-copied").textContent = "Copied. Who opens the link sees this choice; nothing starts by itself.";
      } catch {
        const text = make("input");
        text.value = link.href;
        text.readOnly = true;
        text.setAttribute("aria-label", "Link to this choice");
        copy.replaceWith(text);
        text.select();
      }
    });
    find(box);
    $("#af-refusal")?.focus();
    refresh(false);
  }

  function find(box) {
    const cards = $$(".af-card", box);
    if (cards.length < 9) return;
    const line = make("div", "", "af-find");
    const text = make("input");
    text.type = "search";
    text.id = "af-find";
    text.placeholder = `Find one of ${cards.length} profiles`;
    text.setAttribute("aria-label", text.placeholder);
    text.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    text.addEventListener("input", () => {
      const words = text.value.toLowerCase().split(/\s+/);
      for (const card of cards) {
        const about = $(".af-head", card).textContent.toLowerCase();
        card.hidden = !words.every((word) => about.includes(word));
      }
    });
    line.append(text);
    $(".af-profiles > legend", box).after(line);
  }

  // ---- a server that starts ----
  function pending() {
    const box = $("#af-pending");
    if (!box) return;
    const bar = $("progress", box);
    const message = $("#progress-message", box);
    const log = $("#progress-log", box);
    const began = Date.now();
    setInterval(() => { $("#af-elapsed").textContent = `${Math.round((Date.now() - began) / 1000)} s`; }, 1000);
    const source = new EventSource(box.dataset.progress);
    const reload = (wait) => setTimeout(() => location.reload(), wait);
    source.onmessage = (event) => {
      const told = JSON.parse(event.data);
      if (told.progress !== undefined) bar.value = told.progress;
      const text = told.message ?? make("p", told.html_message).textContent;
      if (text && text !== message.textContent) {
        message.textContent = text;
        log.append(make("li", text));
      }
      if (told.ready || told.failed) {
        source.close();
        reload(told.failed ? 600 : 0);  // the page of a failed start says why
      }
    };
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) reload(2000); };
  }

  // what moves is asked for again; the page is loaded anew only when it says something else
  function again() {
    const go = $("[data-go]");
    if (go) setTimeout(() => { location.href = go.dataset.go; }, 1000 * go.dataset.after);
    const box = $("[data-again]");
    if (!box) return;
    const words = (element) => element?.textContent.replace(/\s+/g, " ");
    const before = words(box);
    setInterval(async () => {
      const answer = await fetch(location.href).catch(() => null);
      if (!answer) return;
      const now = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.url !== location.href || words($("[data-again]", now)) !== before) location.reload();
    }, 3000);
  }

  // ---- servers that run ----
  async function ask(method, path, body) {
    const { baseUrl, xsrf } = document.body.dataset;
    const answer = await fetch(`${baseUrl}api/${path}`, {
      method,
      headers: { "X-XSRFToken": xsrf, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    throw new Error([told.message ?? answer.statusText, told.hint].filter(Boolean).join(" "));
  }
  function complain(error) {
    const box = $("#af-message");
    box.hidden = false;
    box.textContent = error.message;
    box.focus();
  }

  function servers() {
    for (const button of $$("[data-stop]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const { stop, remove } = button.dataset;
        if (remove && !confirm(`Delete the server ${stop}? Files in your home directory stay.`)) return;
        button.disabled = true;
        const { user } = document.body.dataset;
        try {
          await ask("DELETE", stop ? `users/${user}/servers/${encodeURIComponent(stop)}` : `users/${user}/server`, remove && { remove: true });
          location.reload();
        } catch (error) {
          button.disabled = false;
          complain(error);
        }
      });
    }
    const made = $("#af-new");
    if (!made) return;
    made.hidden = false;
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      location.href = `${made.action}/${encodeURIComponent(new FormData(made).get("name"))}`;
    });
  }

  function tokens() {
    const { user } = document.body.dataset;
    for (const button of $$("[data-revoke]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        ask("DELETE", `users/${user}/tokens/${button.dataset.revoke}`).then(() => button.closest("tr").remove(), complain);
      });
    }
    const box = $("#af-token");
    if (!box) return;
    box.hidden = false;
    box.addEventListener("submit", async (event) => {
      event.preventDefault();
      const fields = new FormData(box);
      const scopes = fields.get("scopes").split(/[\s,]+/).filter(Boolean);
      const body = { note: fields.get("note") || "Requested via token page", expires_in: Number(fields.get("expires")) || null };
      if (scopes.length) body.scopes = scopes;
      try {
        const { token } = await ask("POST", `users/${user}/tokens`, body);
        $("#af-made").replaceChildren(make("p", "Copy it now: it is not shown again."), make("code", token));
      } catch (error) {
        complain(error);
      }
    });
  }

  function times() {
    const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    for (const time of $$("time[datetime]")) {
      const away = (new Date(time.dateTime) - Date.now()) / 1000;
      const [length, unit] = UNITS.find(([size]) => Math.abs(away) >= size) ?? [1, "second"];
      time.title = new Date(time.dateTime).toLocaleString();
      time.textContent = format.format(Math.round(away / length), unit);
    }
  }

  function password() {
    const field = $("#password_input");
    const button = $("#af-show");
    if (!field || !button) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.textContent = shown ? "Show" : "Hide";
      button.setAttribute("aria-pressed", String(!shown));
    });
  }

  addEventListener("DOMContentLoaded", () => {
    for (const each of [theme, form, pending, again, servers, tokens, times, password]) each();
  });
})();
