// Fastify with BullMQ: a job by add, an array of jobs by addBulk.
const fastify = require("fastify")({ logger: false, bodyLimit: 10_000_000 });
const { Queue } = require("bullmq");

const connection = { path: process.env.BENCH_SOCKET };
const queue = new Queue("rival", { connection, defaultJobOptions: { removeOnComplete: 100 } });

fastify.post("/api/jobs", async (request, reply) => {
  reply.code(202);
  if (!Array.isArray(request.body)) {
    const job = await queue.add(request.body.type, request.body.payload);
    return { jobId: job.id, status: "queued" };
  }
  const jobs = await queue.addBulk(request.body.map(({ type, payload }) => ({ name: type, data: payload })));
  return jobs.map((job) => ({ jobId: job.id, status: "queued" }));
});

fastify.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
