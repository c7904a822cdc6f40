// The test server listens on every address: with this, on 127.0.0.1 only.
const { Server } = require("net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...more) {
  return listen.call(this, port, "127.0.0.1", ...more);
};
