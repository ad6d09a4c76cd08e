// Worker threads that compute side by side, share memory and are terminated, then an HTTP server with clients.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const http = require('http');

if (!isMainThread) {
  if (workerData.spin) for (;;) Atomics.add(workerData.shared, 1, 1);
  let sum = 0;
  for (let i = 0; i < 200000; i++) sum += i * workerData.factor;
  for (let i = 0; i < 1000; i++) Atomics.add(workerData.shared, 0, 1);
  Atomics.notify(workerData.shared, 0);
  parentPort.postMessage(sum);
  return;
}

const shared = new Int32Array(new SharedArrayBuffer(8));

function compute(factor) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { factor, shared } });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

async function terminateSpinning() {
  const worker = new Worker(__filename, { workerData: { spin: true, shared } });
  while (Atomics.load(shared, 1) === 0) await new Promise(resolve => setTimeout(resolve, 1));
  return worker.terminate();
}

function post(port, i) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: `/${i}`, method: 'POST' }, answer => {
      let text = '';
      answer.on('data', data => text += data);
      answer.on('end', () => resolve(text));
    });
    request.on('error', reject);
    request.end(Buffer.alloc(i * 3000));
  });
}

(async () => {
  console.log((await Promise.all([1, 2, 3, 4].map(compute))).join(' '), shared[0]);
  console.log('terminated', await terminateSpinning());
  const server = http.createServer((request, answer) => {
    let bytes = 0;
    request.on('data', data => bytes += data.length);
    request.on('end', () => answer.end(`${request.method} ${request.url} ${bytes}`));
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => post(server.address().port, i)));
  console.log(answers.length, answers[39], answers.every((text, i) => text === `POST /${i} ${i * 3000}`));
  server.close();
})();
