// The jobs table: one read of the recent jobs, then the event stream. Flows, batches, schedules, errors and workers are
// read every few seconds, the callbacks about a job when somebody asks for them.
const rows = new Map();
const jobs = document.getElementById("jobs");
const counts = document.getElementById("counts");
const form = document.getElementById("key");
const MOST = 50;
const ERRORS = 10;
const GROUPS = 10;
const READ_EVERY_MS = 5000;

function key() { return sessionStorage.getItem("key"); }

function row(id) {
  let tr = rows.get(id);
  if (!tr) {
    tr = document.createElement("tr");
    for (let i = 0; i < 5; i++) tr.append(document.createElement("td"));
    tr.cells[0].append(Object.assign(document.createElement("button"), { textContent: id, title: "Show its callbacks" }));
    tr.cells[3].append(Object.assign(document.createElement("progress"), { max: 100 }));
    rows.set(id, tr);
    jobs.prepend(tr);
    while (jobs.rows.length > MOST) {
      rows.delete(jobs.lastElementChild.cells[0].textContent);
      jobs.lastElementChild.remove();
    }
  }
  return tr;
}

function show(job) {
  const tr = row(job.jobId);
  tr.cells[1].textContent = job.type;
  tr.cells[2].textContent = job.status + (job.stage ? ` (${job.stage})` : "");
  tr.cells[2].className = job.status;
  tr.cells[3].firstChild.value = job.progress ?? 0;
  tr.cells[4].textContent = job.error || job.message || "";
}

async function ask(path) {
  const response = await fetch(path, { headers: key() ? { Authorization: `Bearer ${key()}` } : {} });
  const answer = await response.json();
  form.hidden = response.status !== 401;
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function workerCells(worker) {
  const jobs = worker.jobs.map((job) => `${job.type} ${Math.round(job.progress)} %`).join(", ");
  return [worker.name, worker.status, `${worker.jobs.length}/${worker.slots} ${jobs}`, `${Math.round(worker.cpuPercent)} %`,
    `${Math.round(worker.memoryBytes / 1e6)} MB`, worker.load[0].toFixed(1), `${(worker.freeScratchBytes / 1e9).toFixed(1)} GB`];
}

function fill(id, texts) {
  document.getElementById(id).replaceChildren(...texts.map((cells) => {
    const tr = document.createElement("tr");
    for (const text of cells) tr.insertCell().textContent = text;
    return tr;
  }));
}

async function showWorkers() {
  const answer = await ask("/api/workers");
  fill("workers", answer.workers.map(workerCells));
  const unserved = answer.unserved.join(", ");
  document.getElementById("unserved").textContent = unserved && `No worker serves ${unserved}`;
}

async function showErrors() {
  const { errors } = await ask(`/api/errors?limit=${ERRORS}`);
  fill("errors", errors.map((error) =>
    [error.fingerprint, error.type, error.code, error.count, error.failed, error.lastSeen, error.message]));
}

function groupCells(group) {
  const where = Object.entries(group.counts).filter(([, number]) => number).map(([status, number]) => `${number} ${status}`);
  return [group.flowId || group.batchId, group.name || "", group.status, `${Math.round(group.progress)} %`, where.join(", ")];
}

async function showGroups() {
  const [{ flows }, { batches }] = await Promise.all([ask(`/api/flows?limit=${GROUPS}`), ask(`/api/batches?limit=${GROUPS}`)]);
  const newest = [...flows, ...batches].sort((one, other) => other.createdAt.localeCompare(one.createdAt));
  fill("groups", newest.slice(0, GROUPS).map(groupCells));
}

async function showSchedules() {
  const { schedules } = await ask("/api/schedules");
  fill("schedules", schedules.map((schedule) => [schedule.name, schedule.cron || `every ${schedule.every / 1000} s`,
    schedule.timezone, schedule.job.type, schedule.paused ? "paused" : schedule.nextFire || "never",
    schedule.lastFire ? schedule.lastFire.at : ""]));
}

async function showDeliveries(jobId) {
  const { deliveries } = await ask(`/api/jobs/${jobId}/deliveries`);
  document.getElementById("about").textContent = deliveries.length ? `About ${jobId}:` : `Nobody is told of ${jobId}.`;
  fill("deliveries", deliveries.map(({ deliveryId, event, status, url, attempts }) => {
    const last = attempts.at(-1);
    const outcome = last ? last.error || `${last.statusCode} after ${last.latency} ms` : "";
    return [deliveryId, event, status, url, attempts.length, outcome];
  }));
}

async function showTheRest() { await Promise.all([showWorkers(), showErrors(), showGroups(), showSchedules()]); }

async function load() {
  const page = await ask(`/api/jobs?limit=${MOST}`);
  page.jobs.reverse().forEach(show);
  counts.textContent = ["waiting", "queued", "running", "scheduled", "completed", "failed", "cancelled"]
    .map((status) => `${page[status]} ${status}`).join(" · ");
}

let timer = 0;
let watching = 0;
function reload() { timer ||= setTimeout(() => { timer = 0; load().catch(tell); }, 1000); }
function tell(error) { counts.textContent = error.message; }

async function start() {
  await load();
  const source = new EventSource("/api/events" + (key() ? `?token=${encodeURIComponent(key())}` : ""));
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (event.event === "job:log") return;
    show(event);
    if (event.event !== "job:progress") reload();
  };
  source.onopen = reload;
  source.addEventListener("stream:reset", reload);
  source.addEventListener("stream:unavailable", () => tell(new Error("the job store does not answer")));
  source.addEventListener("stream:resumed", reload);
  await showTheRest();
  watching ||= setInterval(() => { if (!document.hidden) showTheRest().catch(tell); }, READ_EVERY_MS);
}

jobs.addEventListener("click", ({ target }) => {
  if (target.matches("button")) showDeliveries(target.textContent).catch(tell);
});

form.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem("key", form.querySelector("input").value);
  start().catch(tell);
});
start().catch(tell);
