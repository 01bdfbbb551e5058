// The jobs table: one read of the recent jobs, then the event stream.
const rows = new Map();
const jobs = document.getElementById("jobs");
const counts = document.getElementById("counts");
const form = document.getElementById("key");
const MOST = 50;

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

async function load() {
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  const response = await fetch(`/api/jobs?limit=${MOST}`, { headers });
  const page = await response.json();
  form.hidden = response.status !== 401;
  if (!response.ok) throw new Error(page.error);
  page.jobs.reverse().forEach(show);
  counts.textContent = ["queued", "running", "scheduled", "completed", "failed", "cancelled"]
    .map((status) => `${page[status]} ${status}`).join(" · ");
}

let timer = 0;
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
}

form.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem("key", form.querySelector("input").value);
  start().catch(tell);
});
start().catch(tell);
