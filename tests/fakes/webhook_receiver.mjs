// A receiver of webhooks that verifies them with the reference library and answers as ordered.
import http from 'node:http';
import { Webhook } from 'standardwebhooks';

export class FakeWebhookReceiver {
  static async start(secret) {
    const self = new FakeWebhookReceiver();
    Object.assign(self, { verifier: new Webhook(secret), taken: [], orders: [], refused: 0 });
    self.server = http.createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => {
        try {
          const payload = self.verifier.verify(body, request.headers);
          const order = self.orders.shift() ?? 204;
          if (order === 'hang') return;
          self.taken.push({ id: request.headers['webhook-id'], payload, status: order });
          response.writeHead(order, order === 429 ? { 'retry-after': '1' } : order === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end();
        } catch {
          self.refused++;
          response.writeHead(401).end();
        }
      });
    });
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.url = `http://127.0.0.1:${self.server.address().port}/hooks/penstock`;
    return self;
  }

  order(...statuses) {
    this.orders.push(...statuses);
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
