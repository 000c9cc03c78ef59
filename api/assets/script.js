// The pages' one script: what must move. Everything works without it.
//
// It reads what a page says of itself: `data-live` on the body (where changes are told), `data-live-names` (by
// events of these names; `changed` when absent), `data-region` (a part that is fetched anew and replaced; `data-words` is
// what is said then), `data-changed` (a part that is shown instead, where nothing may be replaced), `data-step`
// (what j and k go through), `data-key` (what a key presses, chooses or goes to), `data-typed` (a field that was filled with what
// was sent and refused: typed, though the page came with it).
"use strict";

(() => {
  const status = document.getElementById("status");
  const say = (words) => {
    if (status && status.textContent !== words) status.textContent = words;
  };

  // What only this loading was for does not come back by reloading, nor into a bookmark.
  const here = new URL(location.href);
  if (here.searchParams.has("at") || here.searchParams.has("done")) {
    here.searchParams.delete("at");
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }

  // What is typed and where one is stays, whatever is replaced around it.
  const keep = (region) => {
    const kept = new Map();
    for (const field of region.querySelectorAll("input[id], textarea[id], select[id]")) {
      if (field.type === "checkbox" || field.type === "radio") {
        if (field.checked !== field.defaultChecked || "typed" in field.dataset) kept.set(field.id, (now) => { now.checked = field.checked; });
      } else if ((field.value !== field.defaultValue || "typed" in field.dataset) && field.type !== "hidden") {
        kept.set(field.id, (now) => { now.value = field.value; });
      }
    }
    const open = [...region.querySelectorAll("details[id][open]")].map((one) => one.id);
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const from = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
    return () => {
      for (const [id, put] of kept) {
        const now = document.getElementById(id);
        if (now) put(now);
      }
      for (const id of open) {
        const now = document.getElementById(id);
        if (now) now.open = true;
      }
      if (!focused) return;
      const now = focused.id && document.getElementById(focused.id);
      if (!now) {
        // What one was at is gone: the region itself is nearest.
        region.setAttribute("tabindex", "-1");
        region.focus({ preventScroll: true });
        return;
      }
      now.focus({ preventScroll: true });
      if (from && now.setSelectionRange) {
        try { now.setSelectionRange(from[0], from[1]); } catch { /* not a field of text */ }
      }
    };
  };

  // What was wrong is told where one is; the next step is its link to the field.
  document.querySelector("[role=alert][autofocus]")?.focus();

  const regions = () => [...document.querySelectorAll("[data-region]")];

  const refresh = async (position) => {
    const from = new URL(location.href);
    if (position) from.searchParams.set("at", position);
    const answer = await fetch(from, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (answer.redirected) return "You are signed out. Reload the page to sign in.";
    if (!answer.ok) return "What changed could not be loaded. Reload the page.";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of regions()) {
      const now = fresh.querySelector(`[data-region="${region.dataset.region}"]`);
      if (!now || now.innerHTML === region.innerHTML) continue;
      const restore = keep(region);
      region.replaceChildren(...document.adoptNode(now).childNodes);
      restore();
    }
    return null;
  };

  // Changes that are told. While one is being fetched, those that come are one more.
  const live = document.body.dataset.live;
  if (live) {
    const RETRY_MS = 5000;
    let working = false;
    let waiting = null;
    let broken = false;
    let over = false;
    const changed = async (position) => {
      const told = document.querySelector("[data-changed]");
      if (told) {
        told.hidden = false;
        say(told.textContent.trim());
      }
      if (!regions().length) return;
      waiting = { position };
      if (working) return;
      working = true;
      while (waiting) {
        const next = waiting;
        waiting = null;
        let words;
        try {
          words = await refresh(next.position);
        } catch {
          words = "What changed could not be loaded. Reload the page.";
        }
        const when = new Date().toISOString().slice(11, 19);
        say(words || `${regions()[0]?.dataset.words || "This page has changed"}, ${when} UTC.`);
      }
      working = false;
    };
    let stream = null;
    let last = null;
    const open = () => {
      const from = new URL(live, location.href);
      if (last) from.searchParams.set("after", last);
      stream = new EventSource(from);
      stream.addEventListener("open", () => {
        if (broken) say("Connected again.");
        broken = false;
      });
      for (const name of (document.body.dataset.liveNames || "changed").split(" ")) {
        stream.addEventListener(name, (event) => {
          last = event.lastEventId || last;
          changed(last);
        });
      }
      stream.addEventListener("end", (event) => {
        let code = "";
        try { code = JSON.parse(event.data).code; } catch { /* nothing more is known */ }
        if (code.startsWith("token_")) {
          stream.close();
          over = true;
          say("You are signed out. Reload the page to sign in.");
        }
      });
      stream.addEventListener("error", () => {
        broken = true;
        say("The connection for changes broke; trying again.");
        if (stream?.readyState !== EventSource.CLOSED) return;
        stream = null;
        setTimeout(ask, RETRY_MS);
      });
    };
    // A stream that is refused does not say why: who is signed out is sent elsewhere.
    const ask = async () => {
      const asking = new AbortController();
      try {
        const answer = await fetch(live, { credentials: "same-origin", redirect: "manual", signal: asking.signal });
        over = answer.type === "opaqueredirect";
        asking.abort();
      } catch { /* it is tried again */ }
      if (over) say("You are signed out. Reload the page to sign in.");
      look();
    };
    // A browser has few connections: pages that nobody looks at have none.
    const look = () => {
      if (document.hidden) {
        stream?.close();
        stream = null;
      } else if (!stream && !over) {
        open();
      }
    };
    look();
    document.addEventListener("visibilitychange", look);
    addEventListener("pagehide", () => { stream?.close(); stream = null; });
    addEventListener("pageshow", look);
  }

  // By keyboard alone. Single keys can be turned off, for who speaks to the browser.
  const OFF = "doorstep-keys-off";
  const stored = () => {
    try { return localStorage.getItem(OFF) === "yes"; } catch { return false; }
  };
  let off = stored();
  const choice = document.getElementById("keys-on");
  if (choice) {
    choice.closest("[hidden]")?.removeAttribute("hidden");
    choice.checked = !off;
    choice.addEventListener("change", () => {
      off = !choice.checked;
      try { localStorage.setItem(OFF, off ? "yes" : "no"); } catch { /* for this page alone */ }
    });
  }

  const typing = (element) =>
    element.isContentEditable || element.matches("textarea, select, input:not([type=radio], [type=checkbox])");

  const step = (by) => {
    const steps = [...document.querySelectorAll("[data-step]")];
    if (!steps.length) return;
    const at = steps.findIndex((one) => one === document.activeElement || one.closest("li")?.contains(document.activeElement));
    const next = at < 0 ? (by > 0 ? 0 : steps.length - 1) : Math.min(Math.max(at + by, 0), steps.length - 1);
    steps[next].focus();
    steps[next].scrollIntoView({ block: "nearest" });
  };

  const press = (key) => {
    const named = `[data-key="${CSS.escape(key)}"]`;
    const nearby = document.activeElement?.closest("li")?.querySelector(named);
    const target = nearby || document.querySelector(named);
    if (!target || target.disabled) return false;
    target.closest("details")?.setAttribute("open", "");
    if (target.matches("button, a")) {
      target.click();
    } else if (target.matches("input[type=radio], input[type=checkbox]")) {
      target.focus();
      target.click();
    } else {
      target.focus();
    }
    target.scrollIntoView({ block: "nearest" });
    return true;
  };

  document.addEventListener("keydown", (event) => {
    const at = event.target instanceof Element ? event.target : document.body;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && at.form) {
      event.preventDefault();
      at.form.requestSubmit();
      return;
    }
    if (event.key === "Escape" && typing(at)) {
      at.blur();
      return;
    }
    if (off || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(at)) return;
    if (event.key === "?") {
      const keys = document.getElementById("keys");
      if (!keys) return;
      event.preventDefault();
      keys.open = !keys.open;
      if (keys.open) keys.querySelector("summary").focus();
    } else if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      step(event.key === "j" ? 1 : -1);
    } else if (event.key.length === 1 && press(event.key)) {
      event.preventDefault();
    }
  });
})();
