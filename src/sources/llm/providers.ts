/** The model providers: their hosts, the variables that hold their keys, and how the AI SDK makes a model of them. */
import type { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { Fetch } from '../guard/fetch.ts';

export type LanguageModel = ReturnType<ReturnType<typeof createOpenAICompatible>['chatModel']>;
type AnyLanguageModel = Pick<LanguageModel, 'doGenerate'>;

export interface ModelOptions {
  model: string;
  /** Null: the provider's own address. */
  baseUrl: string | null;
  /** Null where none is needed. */
  key: string | null;
  fetch: Fetch;
}

export interface Provider {
  /** Base address, with the version; null when the source must say it. */
  baseUrl: string | null;
  /** The first is the usual one. */
  variables: readonly string[];
  make(options: ModelOptions): Promise<AnyLanguageModel>;
}

const given = ({ baseUrl, key, fetch }: ModelOptions): { baseURL?: string; apiKey: string; fetch: Fetch } =>
  ({ ...(baseUrl === null ? {} : { baseURL: baseUrl }), apiKey: key ?? '', fetch });

// Each library is loaded when it is first needed: together they take longer to load than everything else.
export const providers: Readonly<Record<string, Provider>> = {
  openai: {
    baseUrl: 'https://api.openai.com/v1',
    variables: ['OPENAI_API_KEY'],
    make: async (options) => (await import('@ai-sdk/openai')).createOpenAI(given(options)).chat(options.model),
  },
  anthropic: {
    baseUrl: 'https://api.anthropic.com/v1',
    variables: ['ANTHROPIC_API_KEY'],
    make: async (options) => (await import('@ai-sdk/anthropic')).createAnthropic(given(options)).languageModel(options.model),
  },
  google: {
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    variables: ['GOOGLE_GENERATIVE_AI_API_KEY'],
    make: async (options) => (await import('@ai-sdk/google')).createGoogleGenerativeAI(given(options)).languageModel(options.model),
  },
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    variables: ['GROQ_API_KEY'],
    make: async (options) => (await import('@ai-sdk/groq')).createGroq(given(options)).languageModel(options.model),
  },
  'openai-compatible': {
    baseUrl: null,
    variables: [],
    make: async (options) => compatible(options),
  },
};

export async function compatible({ model, baseUrl, key, fetch }: ModelOptions): Promise<AnyLanguageModel> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
  const settings = { name: 'compatible', baseURL: baseUrl!, fetch, supportsStructuredOutputs: true, ...(key === null ? {} : { apiKey: key }) };
  return createOpenAICompatible(settings).chatModel(model);
}
