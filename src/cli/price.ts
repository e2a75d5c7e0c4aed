/** `agentflow price`: what models cost, for who runs the installation. */
import { Command } from 'commander';
import { AgentFlowError } from '../errors.ts';
import { listPrices, setPrice, type PriceRow } from '../store/prices.ts';
import { asOwner } from './acting.ts';
import { action } from './context.ts';
import { table } from './table.ts';

export function priceCommands(): Command {
  return new Command('price')
    .description('What models cost, in US dollars: by it calls are counted, and budgets.')
    .addCommand(listCommand())
    .addCommand(setCommand());
}

function listCommand(): Command {
  return new Command('list')
    .argument('[model]', 'of this model only')
    .description('All prices, the newest of each model first. Counts the newest whose day has come.')
    .action(action(async (context, _options: object, model?: string) => {
      const rows = (await asOwner(context, listPrices)).filter((row) => model === undefined || row.model === model);
      context.answer(rows, lines(rows));
    }));
}

interface SetOptions {
  input: string;
  output: string;
  image: string;
  from?: string;
}

function setCommand(): Command {
  return new Command('set')
    .argument('<model>', 'its name, as sources write it')
    .option('--input <dollars>', 'per million tokens that it reads', '0')
    .option('--output <dollars>', 'per million tokens that it writes', '0')
    .option('--image <dollars>', 'per picture', '0')
    .option('--from <day>', 'from this day on, like 2026-12-01 (default: today)')
    .description('Set a price. Workers know it within a minute; what was counted before stays as it was.')
    .action(action<SetOptions>(async (context, { input, output, image, from = null }, model) => {
      for (const [name, given] of Object.entries({ input, output, image })) {
        if (!/^\d+(\.\d+)?$/.test(given)) throw new AgentFlowError('USAGE', `--${name} must be an amount like 2.5, not '${given}'.`);
      }
      if (from !== null && !/^\d{4}-\d\d-\d\d$/.test(from)) throw new AgentFlowError('USAGE', `--from must be a day like 2026-12-01, not '${from}'.`);
      const row = await asOwner(context, (client) => setPrice(client, { model, input, output, image, from }));
      context.answer(row, lines([row]));
    }));
}

function lines(rows: PriceRow[]): string {
  return table(['model', 'from', 'input', 'output', 'image', 'by'], rows.map(({ model, validFrom, inputPerMillion, outputPerMillion, perImage, changedBy }) => [model, validFrom, short(inputPerMillion), short(outputPerMillion), short(perImage), changedBy ?? '']));
}

function short(amount: string): string {
  return amount.replace(/\.?0+$/, '');
}
