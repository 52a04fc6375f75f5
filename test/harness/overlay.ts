/** The port with some of its calls replaced. */
export function overlay<T extends object>(port: T, over: Partial<T>): T {
  return new Proxy(port, {
    get: (target, name) => Reflect.get(Reflect.has(over, name) ? over : target, name),
  });
}
