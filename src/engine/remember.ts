/** A small bounded memory for what is dear to compile: the oldest entry leaves when it is full. */
const capacity = 500;

export function remember<Value>(memory: Map<string, Value>, key: string, make: () => Value): Value {
  const known = memory.get(key);
  if (known !== undefined) return known;
  const value = make();
  if (memory.size >= capacity) memory.delete(memory.keys().next().value as string);
  memory.set(key, value);
  return value;
}
