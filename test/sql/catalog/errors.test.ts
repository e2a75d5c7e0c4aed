/** The errors that SQL raises are those of the registry, word for word. */
import { errorRegistry } from '../../../src/errors.ts';
import { useTestDatabase } from '../../support/database.ts';

const db = useTestDatabase();

const registered = Object.entries(errorRegistry)
  .filter(([, { sqlstate }]) => sqlstate?.startsWith('AF'))
  .map(([code, { sqlstate, summary, remedy }]) => ({ code, sqlstate, summary, remedy }));

test('both lists are equal', async () => {
  const { rows } = await db.owner.query('select * from app_private.registered_errors() order by code');
  expect(rows).toEqual([...registered].sort((a, b) => (a.code < b.code ? -1 : 1)));
});

test.each(registered)('fail raises $code', async ({ code, sqlstate, summary, remedy }) => {
  await expect(db.owner.query('select app_private.fail($1)', [code])).rejects.toMatchObject({ code: sqlstate, message: summary, hint: remedy });
});

test('fail carries message, field, remedy and details', async () => {
  await expect(db.owner.query(`select app_private.fail('INVALID_VALUE', 'No.', 'name', 'Say yes.', '{"problems": [1]}')`))
    .rejects.toMatchObject({ code: 'AF400', message: 'No.', column: 'name', hint: 'Say yes.', detail: '{"problems": [1]}' });
});

test('a code that is not registered is a fault of ours', async () => {
  await expect(db.owner.query(`select app_private.fail('NO_SUCH_CODE')`)).rejects.toMatchObject({ code: 'XX000', message: 'Error code NO_SUCH_CODE is not registered' });
});
