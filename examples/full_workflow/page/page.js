// Posts a job to `mlq serve` and shows it live from its event stream. Nothing is polled.
// The job's id stands in the address (#7), so that a reload, a bookmark or another browser shows the same job.
"use strict";

const API = new URLSearchParams(location.search).get("api") ?? "http://localhost:5001"; // where `mlq serve` is
const AGAIN = 2000; // milliseconds after which to try again when the service says that it can't now

const at = (id) => document.getElementById(id);
let events = null; // the EventSource of the job that is shown
let attempt = 0; // the attempt whose curve is shown

// --- posting, cancelling

async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  const answer = await fetch(API + path, { ...options, headers }).catch(() => {
    throw new Error(`Nobody answers at ${API}. Is mlq serve running?`);
  });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail), { status: answer.status });
  return body;
}

// What was typed is sent as it is: it is the listener that says what is wrong with it.
const typed = (id) => (Number.isInteger(Number(at(id).value || NaN)) ? Number(at(id).value) : at(id).value);

async function post(event) {
  event.preventDefault();
  const job = { msg: { epochs: typed("epochs"), neurons: typed("neurons") }, functions: ["train"] };
  const headers = { "Content-Type": "application/json" };
  try {
    const posted = await ask("/jobs", { method: "POST", headers, body: JSON.stringify(job) });
    at("refused").textContent = "";
    location.hash = posted.id; // which shows it
  } catch (error) {
    at("refused").textContent = error.message;
  }
}

async function cancel() {
  try {
    await ask(`/jobs/${shownId()}/cancel`, { method: "POST" });
  } catch (error) {
    at("error").textContent = error.message;
  }
}

// --- following

const shownId = () => location.hash.slice(1);

function follow() {
  events?.close();
  const id = shownId();
  at("job").hidden = !id;
  if (!id) return;
  clear();
  at("title").textContent = `Job ${id}`;
  showState("", "");
  const source = (events = new EventSource(`${API}/jobs/${id}/events`));
  const on = (name, show) => source.addEventListener(name, (event) => show(JSON.parse(event.data)));
  source.onopen = () => (at("line").textContent = "");
  source.onerror = () => lost(source, id);
  on("state", began);
  on("progress", ({ progress }) => (at("progress").value = progress));
  on("chunk", ({ data }) => draw(data));
  on("log", ({ text }) => log(text));
  on("end", (end) => {
    source.close();
    ended(end);
  });
}

// A broken connection the browser mends by itself, and goes on after the last event that it has seen. It gives up only
// when the service answers with an error: then the job is unknown, or the service can't reach its server for now.
async function lost(source, id) {
  at("line").textContent = "Connection lost; coming back …";
  if (source.readyState !== EventSource.CLOSED) return;
  try {
    await ask(`/jobs/${id}`);
  } catch (error) {
    if (error.status < 500 && source === events) {
      showState("unknown", error.message);
      return;
    }
  }
  setTimeout(() => source === events && follow(), AGAIN);
}

// --- showing

function clear() {
  attempt = 0;
  for (const id of ["error", "log", "line", "accuracy", "pictures"]) at(id).textContent = "";
  at("epoch").textContent = "Epoch –";
  at("progress").value = 0;
  at("result").hidden = true;
  clearCurve();
}

function clearCurve() {
  at("curve").setAttribute("points", "");
  at("tip").setAttribute("cx", -9);
}

// Another attempt begins at the start, since a worker was lost: the partial results of the one before are void.
function began(now) {
  if (now.attempt !== attempt) clearCurve();
  attempt = now.attempt;
  showState(now.state, now.attempt > 1 ? `attempt ${now.attempt}` : "");
}

function showState(state, note) {
  at("job").className = `card ${state}`;
  at("state").textContent = state || "…";
  at("line").textContent = note;
  at("cancel").hidden = !["queued", "scheduled", "running"].includes(state);
}

function draw({ epoch, of, accuracy }) {
  const [x, y] = [40 + (550 * epoch) / of, 160 - 150 * accuracy];
  at("curve").setAttribute("points", `${at("curve").getAttribute("points")} ${x},${y}`);
  at("tip").setAttribute("cx", x);
  at("tip").setAttribute("cy", y);
  at("epoch").textContent = `Epoch ${epoch} of ${of}`;
  at("accuracy").textContent = percent(accuracy);
}

const percent = (part) => `${(100 * part).toFixed(1)} %`;

function log(text) {
  const lines = at("log");
  const atEnd = lines.scrollTop + lines.clientHeight > lines.scrollHeight - 20;
  lines.append(text);
  if (atEnd) lines.scrollTop = lines.scrollHeight;
}

async function ended(end) {
  showState(end.state, "");
  at("error").textContent = end.error ?? "";
  if (end.state !== "succeeded") return;
  at("progress").value = 100;
  const result = await ask(`/jobs/${end.id}/result`);
  if (end.id === shownId()) showResult(result); // and not another job meanwhile
}

function showResult({ accuracy, wrong, of, pictures }) {
  at("score").textContent = `${percent(accuracy)} of ${of} held-out images read correctly, ${wrong} misread`;
  at("pictures").replaceChildren(...pictures.map(picture));
  at("result").hidden = false;
}

function picture(shown) {
  const item = document.createElement("li");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const paint = canvas.getContext("2d");
  shown.image.forEach((row, y) => row.forEach((grey, x) => {
    paint.fillStyle = `rgb(${255 - 255 * grey} ${255 - 255 * grey} ${255 - 235 * grey})`;
    paint.fillRect(x, y, 1, 1);
  }));
  const right = shown.read === shown.is;
  item.className = right ? "right" : "wrong";
  item.append(canvas, right ? `a ${shown.is}` : `a ${shown.is}, read as ${shown.read}`);
  return item;
}

at("form").addEventListener("submit", post);
at("cancel").addEventListener("click", cancel);
addEventListener("hashchange", follow);
follow();
