/** The model providers: their hosts, the variables that hold their keys, and how the AI SDK makes a model of them. */
import type { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { Fetch } from '../guard/fetch.ts';

type OpenAICompatible = ReturnType<typeof createOpenAICompatible>;
export type LanguageModel = Pick<ReturnType<OpenAICompatible['chatModel']>, 'doGenerate' | 'doStream'>;
export type ImageModel = Pick<ReturnType<OpenAICompatible['imageModel']>, 'doGenerate'>;

export interface ModelOptions {
  model: string;
  /** Null: the provider's own address. */
  baseUrl: string | null;
  /** Null where none is needed. */
  key: string | null;
  /** Azure: of the interface; null for its newest form. */
  apiVersion: string | null;
  fetch: Fetch;
}

export interface Provider {
  /** Base address, with the version; null when the source must say it. */
  baseUrl: string | null;
  /** The first is the usual one. */
  variables: readonly string[];
  /** Works without a key when the source names none. */
  keyIsOptional?: boolean;
  language(options: ModelOptions): Promise<LanguageModel>;
  /** Absent: it makes no pictures. */
  image?(options: ModelOptions): Promise<ImageModel>;
}

const given = ({ baseUrl, key, fetch }: ModelOptions): { baseURL?: string; apiKey: string; fetch: Fetch } =>
  ({ ...(baseUrl === null ? {} : { baseURL: baseUrl }), apiKey: key ?? '', fetch });

// Each library is loaded when it is first needed: together they take longer to load than everything else.
const openai: Provider = {
  baseUrl: 'https://api.openai.com/v1',
  variables: ['OPENAI_API_KEY'],
  language: async (options) => (await import('@ai-sdk/openai')).createOpenAI(given(options)).chat(options.model),
  image: async (options) => (await import('@ai-sdk/openai')).createOpenAI(given(options)).image(options.model),
};
const google: Provider = {
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  variables: ['GOOGLE_GENERATIVE_AI_API_KEY', 'GEMINI_API_KEY'],
  language: async (options) => (await import('@ai-sdk/google')).createGoogleGenerativeAI(given(options)).languageModel(options.model),
  image: async (options) => (await import('@ai-sdk/google')).createGoogleGenerativeAI(given(options)).image(options.model),
};
const anyCompatible: Provider = {
  baseUrl: null,
  variables: [],
  keyIsOptional: true,
  language: async (options) => (await compatibleClient(options)).chatModel(options.model),
  image: async (options) => (await compatibleClient(options)).imageModel(options.model),
};
const azure: Provider = {
  baseUrl: null,
  variables: ['AZURE_API_KEY', 'AZURE_OPENAI_API_KEY'],
  language: async (options) => (await azureClient(options)).chatModel(options.model),
  image: async (options) => (await azureClient(options)).imageModel(options.model),
};

export const providers: Readonly<Record<string, Provider>> = {
  openai,
  anthropic: {
    baseUrl: 'https://api.anthropic.com/v1',
    variables: ['ANTHROPIC_API_KEY'],
    language: async (options) => (await import('@ai-sdk/anthropic')).createAnthropic(given(options)).languageModel(options.model),
  },
  google,
  gemini: google,
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    variables: ['GROQ_API_KEY'],
    language: async (options) => (await import('@ai-sdk/groq')).createGroq(given(options)).languageModel(options.model),
  },
  mistral: { ...anyCompatible, baseUrl: 'https://api.mistral.ai/v1', variables: ['MISTRAL_API_KEY'], keyIsOptional: false },
  azure,
  'azure-openai': azure,
  ollama: { ...anyCompatible, baseUrl: 'http://localhost:11434/v1' },
  'openai-compatible': anyCompatible,
};

/** The operator's gateway, and whoever else speaks OpenAI's language. */
export const compatible = anyCompatible;

async function compatibleClient({ baseUrl, key, fetch }: ModelOptions): Promise<OpenAICompatible> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
  return createOpenAICompatible({ name: 'compatible', baseURL: baseUrl!, fetch, supportsStructuredOutputs: true, includeUsage: true, ...(key === null ? {} : { apiKey: key }) });
}

/** With a version: an address for each deployment, as it was first. Without: the same form as OpenAI's own. */
async function azureClient({ model, baseUrl, key, apiVersion, fetch }: ModelOptions): Promise<OpenAICompatible> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
  const root = baseUrl!.replace(/\/openai(\/v1)?$/, '');
  const address = apiVersion === null ? `${root}/openai/v1` : `${root}/openai/deployments/${encodeURIComponent(model)}`;
  return createOpenAICompatible({
    name: 'compatible', baseURL: address, fetch, supportsStructuredOutputs: true, includeUsage: true,
    headers: { 'api-key': key ?? '' }, ...(apiVersion === null ? {} : { queryParams: { 'api-version': apiVersion } }),
  });
}

/** The libraries of the gateway, or of the provider that is the usual one. */
export async function loadLibraries(forGateway: boolean): Promise<void> {
  await (forGateway ? import('@ai-sdk/openai-compatible') : import('@ai-sdk/openai'));
}
