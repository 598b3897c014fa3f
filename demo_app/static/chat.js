"use strict";

// One socket per page. The server sends {type: "message", id, html}, {type: "people", names} and
// {type: "error", text}. The html was rendered, and escaped, by the template that made this page.

const talk = document.getElementById("talk");
const log = document.getElementById("log");
const people = document.getElementById("people");
const state = document.getElementById("state");
const problem = document.getElementById("problem");
const composer = document.getElementById("composer");
const text = document.getElementById("text");

const FIRST_DELAY = 500; // milliseconds before the first try to connect again
const LAST_DELAY = 15000;
const LOGGED_OUT = 4401; // close code: there is no session any more
const SAME_BREATH = 300; // seconds within which messages of one person stand together

let socket = null;
let delay = FIRST_DELAY;
const unseen = []; // texts that were sent and have not come back yet
let returned = []; // those that were put back into the box

function showState(name, words) {
  state.dataset.state = name;
  state.textContent = words;
}

function showProblem(words) {
  problem.textContent = words;
  problem.hidden = !words;
}

function connect() {
  const url = new URL(location.pathname + "/socket", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("after", lastId());
  socket = new WebSocket(url);
  let opened = false;
  socket.onopen = () => {
    opened = true;
    delay = FIRST_DELAY;
    showState("connected", "Connected");
  };
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = (event) => {
    if (event.code === LOGGED_OUT) return location.reload();
    showState("connecting", "Reconnecting");
    if (!opened) leaveIfLoggedOut();
    if (unseen.length) showProblem("The connection was lost. What may not have been sent is below.");
    giveBack(...unseen.splice(0));
    setTimeout(connect, delay * (0.5 + Math.random() / 2));
    delay = Math.min(delay * 2, LAST_DELAY);
  };
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

function receive(frame) {
  if (frame.type === "message") addMessage(frame);
  else if (frame.type === "people") people.replaceChildren(...frame.names.map(person));
  else if (frame.type === "error") fail(frame.text);
}

function addMessage({ id, html }) {
  if (document.getElementById("m" + id)) return;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  const message = template.content.firstElementChild;
  let before = log.lastElementChild;
  while (before && Number(before.dataset.id) > id) before = before.previousElementSibling;
  log.insertBefore(message, before ? before.nextSibling : log.firstChild);
  dress(message);
  if (message.nextElementSibling) dress(message.nextElementSibling);
  if (message.classList.contains("mine")) settle(message.querySelector(".text").textContent);
  if (atEnd || message.classList.contains("mine")) log.scrollTop = log.scrollHeight;
}

// What depends on the reader: whose message it is, his time zone, the message above it.
function dress(message) {
  const time = message.querySelector("time");
  const sent = new Date(time.dateTime);
  time.textContent = sent.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  time.title = sent.toLocaleString();
  message.classList.toggle("mine", message.dataset.author === talk.dataset.user);
  const above = message.previousElementSibling;
  const gap = above ? sent - new Date(above.querySelector("time").dateTime) : Infinity;
  const follows = gap < SAME_BREATH * 1000 && above.dataset.author === message.dataset.author;
  message.classList.toggle("follows", follows);
}

function person(name) {
  const avatar = document.createElement("span");
  avatar.className = "avatar hue-" + (new TextEncoder().encode(name).reduce((a, b) => a + b) % 6);
  avatar.ariaHidden = "true";
  avatar.textContent = Array.from(name)[0];
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = name;
  const item = document.createElement("li");
  item.append(avatar, label);
  return item;
}

function fail(words) {
  showProblem(words);
  giveBack(...unseen.splice(0, 1)); // replies come in the order of what was sent
}

function giveBack(...texts) {
  if (!texts.length) return;
  returned.push(...texts);
  text.value = [text.value, ...texts].filter(Boolean).join("\n");
}

// A message of one's own is in the room: it need not be sent again.
function settle(words) {
  const list = unseen.includes(words) ? unseen : returned;
  const at = list.indexOf(words);
  if (at < 0) return;
  const untouched = text.value === returned.join("\n");
  list.splice(at, 1);
  if (list === unseen || !untouched) return;
  text.value = returned.join("\n");
  if (!text.value) showProblem("");
}

function lastId() {
  return log.lastElementChild ? log.lastElementChild.dataset.id : "0";
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  if (!socket || socket.readyState !== WebSocket.OPEN) {
    showProblem("There is no connection. Your message is still here: send it once it is back.");
    return;
  }
  showProblem("");
  const words = text.value.trim();
  unseen.push(words);
  returned = [];
  socket.send(JSON.stringify({ text: words }));
  text.value = "";
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    composer.requestSubmit();
  }
});

for (const message of log.children) dress(message);
log.scrollTop = log.scrollHeight;
connect();
