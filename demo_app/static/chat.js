"use strict";

// One socket per page; demo_app/handlers/chat.py tells what it carries. The ids of a room are 1, 2,
// 3 ... without a gap: whatever is missing is asked for, so nothing is lost, doubled or out of order.
// What is sent waits, under a key of its own, until the room shows it: it is stored once, however
// often it had to be sent. HTML comes from the template that made this page, and is escaped.

const talk = document.getElementById("main");
const scroller = document.getElementById("scroller");
const log = document.getElementById("log");
const people = document.getElementById("people");
const state = document.getElementById("state");
const typing = document.getElementById("typing");
const problem = document.getElementById("problem");
const composer = document.getElementById("composer");
const text = document.getElementById("text");
const waiting = document.getElementById("pending");

const room = talk.dataset.room;
const user = talk.dataset.user;
const words = JSON.parse(talk.dataset.words);
const FIRST_DELAY = 500; // milliseconds before the first try to connect again
const LAST_DELAY = 15000;
const ANSWER = 5000; // within which the server answers, or the connection is given up
const HEARTBEAT = 15000; // between questions whether anything is missing
const AGAIN = 2000; // before a message that could not be stored is sent again
const TYPING = 3000; // for which one message about typing counts
const SAME_BREATH = 300; // seconds within which messages of one person stand together
const LOGGED_OUT = 4401; // close code

let socket = null;
let delay = FIRST_DELAY;
let retry = 0; // timer of the next try
let overdue = 0; // timer of the answer to what was asked last
let ready = false; // all that was said is here
let lastId = log.lastElementChild ? Number(log.lastElementChild.dataset.id) : 0;
let typed = 0; // when the server was told last
const store = `pending ${user} ${room}`;
const pending = JSON.parse(sessionStorage.getItem(store) || "[]"); // {key, text}, oldest first
let underWay = null; // the key of the one that was sent

// The connection.

function connect() {
  clearTimeout(retry);
  const url = new URL(`${location.pathname}/socket`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("after", lastId);
  const opening = new WebSocket(url);
  socket = opening;
  let opened = false;
  expect();
  opening.onopen = () => { opened = true; };
  opening.onmessage = (event) => { if (socket === opening) receive(JSON.parse(event.data)); };
  opening.onclose = (event) => {
    if (socket !== opening) return;
    if (!opened || event.code === LOGGED_OUT) leaveIfLoggedOut();
    lose();
  };
}

// A cut network closes nothing, and close() would wait for it: the socket is left to itself.
function lose() {
  const lost = socket;
  socket = underWay = null;
  ready = false;
  clearTimeout(overdue);
  if (lost) lost.close();
  show(navigator.onLine ? "Reconnecting" : "Offline");
  clearTimeout(retry);
  retry = setTimeout(connect, delay * (0.5 + Math.random() / 2));
  delay = Math.min(delay * 2, LAST_DELAY);
}

function expect() {
  clearTimeout(overdue);
  overdue = setTimeout(lose, ANSWER);
}

function send(frame) {
  if (!socket || socket.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(frame));
  return true;
}

function sync() {
  ready = false;
  if (send({ type: "sync", after: lastId })) expect();
}

// A browser does not tell why a socket was refused, so ask for the page: it leads to the door.
async function leaveIfLoggedOut() {
  try {
    const response = await fetch(location.href, { redirect: "manual", cache: "no-store" });
    if (response.type === "opaqueredirect") location.reload();
  } catch {
    // The server is away; the next try to connect comes.
  }
}

function show(name) {
  state.hidden = false;
  state.dataset.state = name.toLowerCase();
  state.textContent = words[name];
}

// What comes.

const receivers = {
  message: hear,
  ready() {
    clearTimeout(overdue);
    ready = true;
    delay = FIRST_DELAY;
    show("Connected");
    sendNext();
  },
  people({ names }) {
    people.replaceChildren(...names.map(person));
  },
  typing(frame) {
    if (frame.room !== room) return;
    typing.textContent = words["%s is typing"].replace("%s", () => frame.name);
    clearTimeout(typing.timer);
    typing.timer = setTimeout(() => { typing.textContent = ""; }, TYPING);
  },
  later({ key, text: why }) {
    showProblem(why);
    if (key && key === underWay) setTimeout(sendAgain, AGAIN);
  },
  refused({ key, text: why }) {
    showProblem(why);
    const refused = answered(key || underWay); // a frame that could not be read has no key
    if (refused) text.value = [refused.text, text.value].filter(Boolean).join("\n");
  },
};

function receive(frame) {
  if (frame.type in receivers) receivers[frame.type](frame);
}

function hear({ room: where, id, author, key, html }) {
  if (where !== room) {
    if (String(author) !== user) countUnread(where);
    return;
  }
  if (id > lastId + 1) {
    if (ready) sync();
  } else if (id > lastId) {
    lastId = id;
    add(html);
  }
  // One's own, perhaps of another window; or one that had arrived before and was sent again.
  if (String(author) === user && id <= lastId && answered(key)) showProblem("");
}

function add(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  const message = template.content.firstElementChild;
  const mine = message.dataset.author === user;
  stayAtEnd(() => {
    log.append(message);
    dress(message);
  }, mine);
  if (!mine) typing.textContent = "";
  tellRead();
}

// Whoever reads the newest messages goes on doing so; whoever scrolled back is left where he is.
function stayAtEnd(change, go = false) {
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  change();
  if (atEnd || go) scroller.scrollTop = scroller.scrollHeight;
}

// What depends on the reader: whose message it is, his time zone, the message above it.
function dress(message) {
  const time = message.querySelector("time");
  const sent = new Date(time.dateTime);
  const today = sent.toDateString() === new Date().toDateString();
  const shown = { timeStyle: "short", dateStyle: today ? undefined : "medium" };
  time.textContent = sent.toLocaleString(document.documentElement.lang, shown);
  time.title = sent.toLocaleString(document.documentElement.lang);
  message.classList.toggle("mine", message.dataset.author === user);
  const above = message.previousElementSibling;
  const gap = above ? sent - new Date(above.querySelector("time").dateTime) : Infinity;
  const follows = gap < SAME_BREATH * 1000 && above.dataset.author === message.dataset.author;
  message.classList.toggle("follows", follows);
}

function person(name) {
  const avatar = element("span", Array.from(name)[0]);
  avatar.className = "avatar hue-" + (new TextEncoder().encode(name).reduce((a, b) => a + b) % 6);
  avatar.ariaHidden = "true";
  const label = element("bdi", name);
  label.className = "name";
  const item = element("li");
  item.append(avatar, label);
  return item;
}

function element(tag, words = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  return made;
}

function countUnread(where) {
  const item = document.querySelector(`[data-room="${CSS.escape(where)}"] .unread`);
  if (!item) return;
  const count = item.querySelector(".count");
  count.textContent = Number(count.textContent) + 1;
  item.hidden = false;
}

function tellRead() {
  clearTimeout(log.timer);
  if (document.visibilityState !== "visible") return;
  log.timer = setTimeout(() => send({ type: "read", id: lastId }), 1000);
}

// What goes: one at a time, so that the order stays.

function say(words) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  pending.push({ key, text: words });
  keep();
  sendNext();
}

function sendNext() {
  if (!ready || underWay || !pending.length) return;
  if (!send({ type: "say", ...pending[0] })) return;
  underWay = pending[0].key;
  expect();
}

function sendAgain() {
  underWay = null;
  sendNext();
}

// Takes out of the queue what was stored or refused, and returns it.
function answered(key) {
  const index = pending.findIndex((each) => each.key === key);
  if (index < 0) return null;
  const [message] = pending.splice(index, 1);
  if (key === underWay) {
    clearTimeout(overdue);
    underWay = null;
  }
  keep();
  sendNext();
  return message;
}

// Also over a reload, or the way to the door and back.
function keep() {
  sessionStorage.setItem(store, JSON.stringify(pending));
  waiting.replaceChildren(...pending.map((each) => element("li", each.text)));
  scroller.scrollTop = scroller.scrollHeight;
}

function showProblem(words) {
  stayAtEnd(() => {
    problem.textContent = words;
    problem.hidden = !words;
  });
}

// What was said long ago.

async function showOlder(link) {
  if (link.ariaBusy === "true") return;
  link.ariaBusy = "true";
  try {
    const response = await fetch(link.href);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const before = scroller.scrollHeight;
    const top = scroller.scrollTop;
    const first = log.firstElementChild;
    scroller.setAttribute("aria-live", "off"); // it is no news
    log.prepend(...page.querySelectorAll("#log > .message"));
    for (const message of log.children) dress(message);
    if (first) scroller.scrollTop = top + scroller.scrollHeight - before;
    setTimeout(() => scroller.setAttribute("aria-live", "polite"), 500);
    const further = page.getElementById("older");
    if (further) link.href = further.href;
    else link.remove();
  } catch {
    // The server is away; the link is still there.
  } finally {
    link.ariaBusy = "false";
  }
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  showProblem("");
  say(text.value.trim());
  text.value = "";
  typed = 0;
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

text.addEventListener("input", () => {
  if (Date.now() - typed < TYPING - 500 || !text.value) return;
  if (send({ type: "typing" })) typed = Date.now();
});

const older = document.getElementById("older");
if (older) {
  older.addEventListener("click", (event) => {
    event.preventDefault();
    showOlder(older);
  });
  scroller.addEventListener("scroll", () => {
    if (scroller.scrollTop < 40 && older.isConnected) showOlder(older);
  });
}

document.addEventListener("visibilitychange", tellRead);
addEventListener("online", () => { if (!socket) connect(); });
addEventListener("offline", () => { if (socket) lose(); });
setInterval(() => { if (ready && !underWay) sync(); }, HEARTBEAT);

for (const message of log.children) dress(message);
composer.hidden = document.getElementById("leave").hidden = false;
document.getElementById("people-box").hidden = false;
show("Connecting");
keep();
connect();
