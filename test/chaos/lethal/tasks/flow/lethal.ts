/** Ends the process that runs it. */
import type { FlowTask } from '../../../../../src/runtime/flow-task.ts';

const lethal: FlowTask = () => process.kill(process.pid, 'SIGKILL');

export default lethal;
