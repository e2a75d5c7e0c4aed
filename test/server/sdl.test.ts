import { readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, GraphQLEnumType, type GraphQLObjectType, type GraphQLSchema, parse, validate } from 'postgraphile/graphql';
import { graphiqlOptions } from '../../src/server/graphiql.ts';
import { limitsOf } from '../../src/server/limits.ts';
import { printSdl } from '../../src/server/sdl.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase();
let sdl: string;
let schema: GraphQLSchema;

beforeAll(async () => {
  sdl = await printSdl(db.url('agentflow_authenticator'));
  schema = buildSchema(sdl);
});

const fieldsOf = (type: string): string[] => Object.keys((schema.getType(type) as GraphQLObjectType).getFields());

test('migrations/snapshot/schema.graphql is what the database gives (agentflow db snapshot writes it)', () => {
  const kept = readFileSync(path.resolve(import.meta.dirname, '../../migrations/snapshot/schema.graphql'), 'utf8');
  expect(kept).toBe(sdl);
});

test('the owner sees the same API as the server does', async () => {
  expect(await printSdl(db.url('agentflow_owner'))).toBe(sdl);
});

describe('names', () => {
  test('the column id is id, the Relay id is globalId, and a node execution keeps its nodeId', () => {
    expect(String((schema.getType('Workflow') as GraphQLObjectType).getFields().id!.type)).toBe('UUID!');
    expect(fieldsOf('Workflow')).toContain('globalId');
    expect(fieldsOf('NodeExecution')).toEqual(expect.arrayContaining(['nodeId', 'globalId', 'sequenceNumber']));
    expect(fieldsOf('Query')).toContain('node');
    expect(sdl).not.toMatch(/\browId\b/);
  });

  test.each([
    ['WorkflowStatus', ['ARCHIVED', 'DELETED', 'DRAFT', 'PUBLISHED']],
    ['ExecutionStatus', ['CANCELLED', 'COMPLETED', 'FAILED', 'PENDING', 'RUNNING']],
    ['SourceKind', ['API', 'DB', 'IMAGE', 'LLM']],
    ['UserRole', ['ADMIN', 'ARCHITECT', 'DEVELOPER', 'OPERATOR', 'VIEWER']],
    ['FlowExecutionStatus', ['COMPLETED', 'FAILURE', 'PENDING', 'RUNNING', 'SUCCESS']],
  ])('%s is an enum', (name, values) => {
    expect((schema.getType(name) as GraphQLEnumType).getValues().map((value) => value.name).sort()).toEqual(values);
  });

  test('there is one way to a row and to a change of it', () => {
    for (const name of [...fieldsOf('Query'), ...fieldsOf('Mutation')]) expect(name).not.toMatch(/By[A-Z]/);
    expect(fieldsOf('Mutation').filter((name) => name.startsWith('delete')).sort()).toEqual(['deleteBudget', 'deleteFlow', 'deleteSecret', 'deleteSource', 'deleteUser', 'deleteWorkflow']);
    expect(fieldsOf('Query')).toEqual(expect.arrayContaining(['workflow', 'workflows', 'execution', 'executions', 'source', 'sources', 'flow', 'flows']));
  });

  test('what nobody may read has no field', () => {
    expect(sdl).not.toMatch(/passwordHash|keyHash|tokenHash|FlowScript|FlowChild/);
    expect(sdl).not.toMatch(/currentTenantId|checkWorkflow|checkFlow|taskTracebacks|signedInUser/);
  });
});

test('required arguments are required, others are not', () => {
  const input = (name: string): Record<string, string> => Object.fromEntries(
    Object.values((schema.getType(name) as GraphQLObjectType).getFields()).map((field) => [field.name, String(field.type)]));
  expect(input('ExecuteWorkflowInput')).toEqual({ clientMutationId: 'String', workflowId: 'UUID!', initialState: 'JSON!', idempotencyKey: 'String', priority: 'Int' });
  expect(input('UpdateWorkflowInput')).toEqual({ clientMutationId: 'String', id: 'UUID!', expectedVersion: 'Int', patch: 'WorkflowPatch!' });
  expect(input('WorkflowInput')).toEqual({ name: 'String!', description: 'String', spec: 'JSON!' });
  expect(input('FlowInput')).toEqual({ id: 'String!', name: 'String!', description: 'String', startTask: 'String!', definition: 'JSON!' });
  expect(input('UpdateFlowInput')).toEqual({ clientMutationId: 'String', id: 'String!', expectedVersion: 'Int', patch: 'FlowPatch!' });
  expect(input('ExecuteFlowInput')).toEqual({ clientMutationId: 'String', flowId: 'String!', inputContext: 'JSON!', idempotencyKey: 'String', priority: 'Int' });
  expect(input('CancelFlowExecutionInput')).toEqual({ clientMutationId: 'String', id: 'BigInt!' });
  expect(input('DeleteSourceInput')).toEqual({ clientMutationId: 'String', id: 'UUID!', force: 'Boolean' });
});

test('function mutations name their result after the row', () => {
  const results = { executeWorkflow: 'execution', cancelExecution: 'execution', publishWorkflow: 'workflow', archiveWorkflow: 'workflow',
    restoreWorkflow: 'workflow', deleteWorkflow: 'workflow', deleteSource: 'source', restoreSource: 'source',
    createFlow: 'flow', updateFlow: 'flow', activateFlow: 'flow', deactivateFlow: 'flow', deleteFlow: 'flow', restoreFlow: 'flow',
    executeFlow: 'flowExecution', executeFlows: 'flowExecutions', cancelFlowExecution: 'flowExecution', retryFlowExecution: 'flowExecution' };
  for (const [mutation, result] of Object.entries(results)) {
    expect(fieldsOf(`${mutation[0]!.toUpperCase()}${mutation.slice(1)}Payload`)).toContain(result);
  }
});

test('tables and columns of the API are described', () => {
  for (const name of ['Workflow', 'Execution', 'NodeExecution', 'Source', 'User', 'WorkflowVersion']) {
    const type = schema.getType(name) as GraphQLObjectType;
    expect([name, type.description]).toEqual([name, expect.stringMatching(/\w/)]);
    const silent = Object.values(type.getFields()).filter(({ description }) => !description).map((field) => field.name);
    expect([name, silent]).toEqual([name, []]);
  }
});

test('what GraphiQL shows first can be sent as it stands', () => {
  const document = parse(graphiqlOptions.clientConfig!.defaultQuery);
  expect(document.definitions).toHaveLength(5);
  expect([...validate(schema, document), ...limitsOf(document).errors]).toEqual([]);
});
