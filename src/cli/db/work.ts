/** Opens the database for one command and closes it again, whatever happens. */
import type { Context } from '../context.ts';
import { openDatabase, type OpenDatabase } from '../open-database.ts';

export async function onDatabase<T>(context: Context, use: (database: OpenDatabase) => Promise<T>): Promise<T> {
  const database = await openDatabase(context.config);
  try {
    context.say(`On ${database.description}`);
    return await use(database);
  } finally {
    await database.close();
  }
}
