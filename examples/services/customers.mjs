/** The service that api-enrichment.json asks: GET /customers/:id. Stop it with Ctrl-C. */
import http from 'node:http';

const customers = { 7: { name: 'Ann', plan: 'premium' }, 8: { name: 'Bob', plan: 'free' } };

http.createServer((request, response) => {
  const [, id] = /^\/customers\/(\w+)$/.exec(request.url) ?? [];
  const customer = Object.hasOwn(customers, id ?? '') ? customers[id] : null;
  response.writeHead(customer ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(customer ?? { error: 'no such customer' }));
}).listen(4010, '127.0.0.1', () => process.stdout.write('http://127.0.0.1:4010/customers/7\n'));
