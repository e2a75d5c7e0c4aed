// Jest's reporter for CI: the last line counts the tests, whatever came before it.
export default class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites, numRuntimeErrorTestSuites }) {
    // A file that does not load has no tests to count; it has failed all the same.
    const failed = Math.max(numFailedTests, numFailedTests + numRuntimeErrorTestSuites, numFailedTestSuites > 0 ? 1 : 0);
    process.stdout.write(`\n${numPassedTests} passed, ${failed} failed${numPendingTests > 0 ? `, ${numPendingTests} skipped` : ''}\n`);
  }
}
