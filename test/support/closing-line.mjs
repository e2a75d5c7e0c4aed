// Jest's reporter for CI: the very last line counts the tests. Jest's own summary comes after all reporters, so this waits for the end of the process.
import { writeSync } from 'node:fs';

export default class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites, numRuntimeErrorTestSuites }) {
    // A file that does not load has no tests to count; it has failed all the same.
    const failed = Math.max(numFailedTests + numRuntimeErrorTestSuites, numFailedTestSuites > 0 ? 1 : 0);
    const skipped = numPendingTests > 0 ? `, ${numPendingTests} skipped` : '';
    process.once('exit', () => writeSync(1, `\n${numPassedTests} passed, ${failed} failed${skipped}\n`));
  }
}
