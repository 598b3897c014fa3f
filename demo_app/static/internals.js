"use strict";

// The page, asked for again: what is live is taken from the new one.

const INTERVAL = 2000; // milliseconds

async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const live = page.getElementById("live");
      if (live) document.getElementById("live").replaceWith(live);
    } catch {
      // The server is away; what is shown stays.
    }
  }
  setTimeout(refresh, INTERVAL);
}

setTimeout(refresh, INTERVAL);
