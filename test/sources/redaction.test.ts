/** Values of secrets are taken out of what is said, in every form, also while it is still being said. */
import { SourceCall } from '../../src/sources/call.ts';
import { redactor } from '../../src/runtime/node-log.ts';

const callWith = (...secrets: string[]): SourceCall => {
  const call = new SourceCall(
    { nodeId: 'n', tenantSlug: 't', sourceName: 's', config: {}, signal: new AbortController().signal, idempotencyKey: 'k', costUnits: () => 0, imageCostUnits: () => 0 },
    { sourceVariables: [], sourceValues: {}, allowHosts: [], llmGateway: null, mockLlm: null },
  );
  for (const secret of secrets) call.keepSecret(secret);
  return call;
};

test('a secret that begins like another one does not leave the rest of it', () => {
  const [short, long] = ['secret-abcd', 'secret-abcd-and-more'];
  expect(callWith(short, long).redact(`${long} ${short}`)).toBe('[redacted] [redacted]');
  expect(redactor([short, long])(`${long} ${short}`)).toBe('[redacted] [redacted]');
});

test('every beginning of a text that repeats a secret again and again shows nothing of it', () => {
  const secret = `${'0123456789'.repeat(10)}+/x`;
  const call = callWith(secret);
  const whole = `first ${secret}, again ${secret}${secret}, in another form ${Buffer.from(secret).toString('base64')}, once more ${secret} and the end`;
  for (let length = 0; length <= whole.length; length += 1) {
    const shown = call.soFar(whole.slice(0, length));
    expect(shown.replaceAll('[redacted]', '')).not.toMatch(/\d/);
    expect(call.redact(whole).startsWith(shown)).toBe(true);
  }
});

test('without secrets nothing is held back', () => {
  expect(callWith().soFar('all of it')).toBe('all of it');
});
