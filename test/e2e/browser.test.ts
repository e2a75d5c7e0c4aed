/** GraphiQL as an admin meets it: in a real browser, from the first tab that is already there. */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { graphiqlOptions } from '../../src/server/graphiql.ts';
import { startService, type Service } from '../support/cli.ts';
import { sampleWorkflow } from './support/client.ts';
import { preparedDataDir } from './support/data-folder.ts';

const slow = 180_000;
const mainJob = String(graphiqlOptions.clientConfig!.defaultQuery);
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

if (!browserPath) console.warn('The browser test is skipped: there is no Chromium in /usr/bin (apt-get install chromium).');

(browserPath ? describe : describe.skip)('GraphiQL', () => {
  let place: Awaited<ReturnType<typeof preparedDataDir>>;
  let service: Service;
  let browser: Browser;
  let page: Page;
  /** Addresses that the page asked for, and what it complained of. */
  const asked: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    place = await preparedDataDir();
    [service, browser] = await Promise.all([
      startService(['start'], place.dataDir),
      chromium.launch({ executablePath: browserPath!, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking'] }),
    ]);
    page = await browser.newPage();
    page.on('request', (request) => asked.push(request.url()));
    page.on('websocket', (socket) => asked.push(socket.url()));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
  }, slow);
  afterAll(async () => {
    await browser?.close();
    service.launcher.kill('SIGTERM');
    await service.finished;
    place.remove();
  }, slow);

  const editor = (): Locator => page.locator('.graphiql-query-editor .monaco-editor').first();
  const response = (): Locator => page.locator('.graphiql-response');

  /** Puts the cursor at the start of the line of the first tab that contains this text. */
  async function goTo(text: string): Promise<void> {
    const line = mainJob.split('\n').findIndex((candidate) => candidate.includes(text));
    expect([text, line]).not.toEqual([text, -1]);
    await editor().click();
    await page.keyboard.press('Control+Home');
    for (let index = 0; index < line; index += 1) await page.keyboard.press('ArrowDown');
  }

  /** Replaces what the cursor's line has from its first letter on. */
  async function rewriteLine(text: string): Promise<void> {
    await page.keyboard.press('End');
    await page.keyboard.press('Shift+Home');
    await page.keyboard.insertText(text);
  }

  /** Runs the operation that the cursor is in, as a person does, and returns what came back over HTTP. */
  async function runThis(): Promise<any> {
    const [answer] = await Promise.all([page.waitForResponse(service.info.graphqlUrl, { timeout: 60_000 }), page.keyboard.press('Control+Enter')]);
    return answer.json();
  }

  test('opens with the main job in the editor', async () => {
    await page.goto(service.info.graphiqlUrl);
    await editor().getByText('mutation').first().waitFor();
    expect(complaints).toEqual([]);
  }, slow);

  test('signs in, and takes the token as a header', async () => {
    const { password } = service.info.samples!.users.find(({ email }) => mainJob.includes(email))!;
    await goTo('password:');
    await rewriteLine(`password: "${password}"`);
    const { data } = await runThis();
    expect(data.authenticate.user).toEqual({ name: 'John Doe', role: 'ADMIN' });
    await response().getByText('"John Doe"').waitFor();

    await page.getByRole('button', { name: 'Headers' }).click();
    await page.locator('.graphiql-editor-tool .monaco-editor').last().click();
    await page.keyboard.insertText(JSON.stringify({ Authorization: `Bearer ${data.authenticate.jwt}` }));
    await goTo('query Workflows');
    expect((await runThis()).data.workflows.nodes).toMatchObject([{ id: sampleWorkflow, name: 'Customer Support Bot' }]);
    await response().getByText('"Customer Support Bot"').waitFor();
  }, slow);

  test('executes the sample workflow, and watches it to its end', async () => {
    await goTo('mutation Execute');
    const { data: { executeWorkflow } } = await runThis();
    expect(executeWorkflow.execution).toEqual({ id: expect.any(String), status: 'PENDING' });

    await goTo('executionUpdated(');
    // Not the bracket at the end: the editor would close it.
    await rewriteLine(`executionUpdated(id: "${executeWorkflow.execution.id}") { # this one`);
    await page.keyboard.press('Control+Enter');
    await response().getByText('"COMPLETED"').first().waitFor();
    // The subscription is complete with the final state: there is nothing to stop.
    await page.getByRole('button', { name: /Execute query/ }).waitFor();
  }, slow);

  test('shows what it did', async () => {
    await goTo('query Execution');
    expect((await runThis()).data.executions.nodes[0]).toMatchObject({ status: 'COMPLETED', nodeExecutions: { nodes: [{ nodeId: 'input' }, { nodeId: 'router' }, { nodeId: 'llm' }] } });
    await response().getByText('"COMPLETED"').first().waitFor();
  }, slow);

  test('no request left this machine, and the page complained of nothing', () => {
    const hosts = new Set(asked.map((url) => new URL(url)).filter(({ protocol }) => protocol.startsWith('http') || protocol.startsWith('ws')).map(({ hostname }) => hostname));
    expect([...hosts]).toEqual(['127.0.0.1']);
    expect(complaints).toEqual([]);
  });
});
