// The jobs table: one read of the recent jobs, then the event stream.
const rows = new Map();
const jobs = document.getElementById("jobs");
const counts = document.getElementById("counts");
const form = document.getElementById("key");
const MOST = 50;
const WORKERS_EVERY_MS = 5000;

function key() { return sessionStorage.getItem("key"); }

function row(id) {
  let tr = rows.get(id);
  if (!tr) {
    tr = document.createElement("tr");
    for (let i = 0; i < 5; i++) tr.append(document.createElement("td"));
    tr.cells[0].textContent = id;
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

async function showWorkers() {
  const answer = await ask("/api/workers");
  document.getElementById("workers").replaceChildren(...answer.workers.map((worker) => {
    const tr = document.createElement("tr");
    for (const text of workerCells(worker)) tr.insertCell().textContent = text;
    return tr;
  }));
  const unserved = answer.unserved.join(", ");
  document.getElementById("unserved").textContent = unserved && `No worker serves ${unserved}`;
}

async function load() {
  const page = await ask(`/api/jobs?limit=${MOST}`);
  page.jobs.reverse().forEach(show);
  counts.textContent = ["queued", "running", "scheduled", "completed", "failed", "cancelled"]
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
  await showWorkers();
  watching ||= setInterval(() => { if (!document.hidden) showWorkers().catch(tell); }, WORKERS_EVERY_MS);
}

form.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem("key", form.querySelector("input").value);
  start().catch(tell);
});
start().catch(tell);
