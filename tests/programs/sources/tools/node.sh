# needs: node
cat > program.js <<'JS'
const http = require('http'), net = require('net'), { spawnSync } = require('child_process');
const server = http.createServer((request, answer) => answer.end('hello ' + request.url));
server.listen(0, '127.0.0.1', () => http.get({ host: '127.0.0.1', port: server.address().port, path: '/x' }, answer => {
  answer.on('data', data => console.log(String(data)));
  answer.on('end', () => { server.close(); local(); });
}));
function local() {
  const echo = net.createServer(client => client.pipe(client)).listen('./socket', () => {
    const client = net.connect('./socket', () => client.end('over a unix socket'));
    client.on('data', data => console.log(String(data)));
    client.on('end', () => echo.close());
  });
}
console.log(String(spawnSync('echo', ['from a child']).stdout).trim());
JS
node program.js
echo "status $?"
