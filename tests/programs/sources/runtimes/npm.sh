# A package packed, installed, installed again from the lock file, and its program run; nothing comes over a network.
mkdir package app
cat > package/package.json <<'JSON'
{"name": "greeter", "version": "1.0.0", "main": "greet.js", "bin": {"greet": "greet.js"}}
JSON
cat > package/greet.js <<'JS'
#!/usr/bin/env node
module.exports = name => `hello ${name}`;
if (require.main === module) console.log(module.exports(process.argv[2]));
JS
export npm_config_logs_max=0 npm_config_offline=true npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
(cd package && npm pack --silent)
cd app
cat > package.json <<'JSON'
{"name": "app", "version": "1.0.0", "scripts": {"go": "greet world && node -p \"require('greeter')('again')\""},
 "dependencies": {"greeter": "file:../package/greeter-1.0.0.tgz"}}
JSON
npm install
rm -r node_modules
npm ci
npm run --silent go
ls -l node_modules/.bin | cut -c1-10
